"""Published rows as they were visible at the end of a day: current ones and those of the history.

There is one axis of time: what was published by then. A posting that the ERP dated back changes later views
only. Refuses a day by whose end nothing was published.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from psycopg import sql

from receivables.errors import Misconfigured
from receivables.kinds import Kind, columns
from receivables.queries import queries

SQL = queries(__file__)


@dataclass(frozen=True)
class View:
    """One connector's published rows at the end of `day` in `zone`; `until` is when that day ends."""

    tenant_id: int
    connector_id: int
    connector: str
    day: date
    zone: ZoneInfo

    @property
    def until(self) -> datetime:
        """The first moment of the next day: what was published from then on is not seen."""
        return datetime.combine(self.day + timedelta(days=1), time(), tzinfo=self.zone)

    @property
    def scope(self) -> Mapping[str, Any]:
        """What the queries need to know."""
        return {
            "tenant_id": self.tenant_id,
            "connector_id": self.connector_id,
            "day": self.day,
            "until": self.until,
        }

    def publication(self, cursor: psycopg.Cursor[Any]) -> tuple[int, datetime]:
        """Number and moment of the publication seen; raises Misconfigured if there was none yet."""
        number, published_at = cursor.execute(SQL["publication"], self.scope).fetchone() or (None, None)
        if number is None or published_at is None:
            (first,) = cursor.execute(SQL["first_publication"], self.scope).fetchone() or (None,)
            when = (
                f"the first is of {first.astimezone(self.zone):%Y-%m-%d}: choose that day or later"
                if first
                else f"start a sync: encours sync {self.connector}"
            )
            raise Misconfigured(f"{self.connector}: by the end of {self.day} nothing was published; {when}.")
        return int(number), published_at


def visible(kind: Kind) -> sql.Composed:
    """A query for the rows of a kind as a View sees them, to be put in brackets."""
    return sql.SQL(SQL["visible"]).format(
        columns=columns(kind.columns), current=kind.current, history=kind.history
    )
