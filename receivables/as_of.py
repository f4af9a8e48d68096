"""Published rows as they were visible at the end of a day: current ones and those of the history.

There is one axis of time: what was published by then. A posting that the ERP dated back changes later views
only. A day ends in the tenant's zone, and for a legal entity with a zone of its own in that. Refuses a day by
whose end nothing was published.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    """One connector's published rows at the end of `day`: in `zone`, or in the legal entity's of `zones`."""

    tenant_id: int
    connector_id: int
    connector: str
    day: date
    zone: ZoneInfo
    zones: Mapping[str, ZoneInfo] = field(default_factory=dict)  # by code of a legal entity

    @property
    def zone_names(self) -> str:
        """The zones as people read them: `UTC`, or `UTC; 1710 America/New_York`."""
        return "; ".join([str(self.zone), *(f"{code} {zone}" for code, zone in self.zones.items())])

    def until(self, zone: ZoneInfo) -> datetime:
        """The first moment of the next day: what was published from then on is not seen."""
        return datetime.combine(self.day + timedelta(days=1), time(), tzinfo=zone)

    @property
    def scope(self) -> Mapping[str, Any]:
        """What the queries need to know."""
        return {
            "tenant_id": self.tenant_id,
            "connector_id": self.connector_id,
            "day": self.day,
            "until": self.until(self.zone),
        }

    def publication(self, cursor: psycopg.Cursor[Any]) -> tuple[int, datetime]:
        """Number and moment of the latest publication seen; Misconfigured if there was none yet."""
        latest = max(self.until(zone) for zone in (self.zone, *self.zones.values()))
        found = cursor.execute(SQL["publication"], {**self.scope, "until": latest}).fetchone()
        number, published_at = found or (None, None)
        if number is None or published_at is None:
            (first,) = cursor.execute(SQL["first_publication"], self.scope).fetchone() or (None,)
            when = (
                f"the first is of {first.astimezone(self.zone):%Y-%m-%d}: choose that day or later"
                if first
                else f"start a sync: encours sync {self.connector}"
            )
            raise Misconfigured(f"{self.connector}: by the end of {self.day} nothing was published; {when}.")
        return int(number), published_at


def zones(cursor: psycopg.Cursor[Any], tenant_id: int, connector_id: int) -> dict[str, ZoneInfo]:
    """The zones of the legal entities that have one of their own, by code."""
    asked = {"tenant_id": tenant_id, "connector_id": connector_id}
    return {code: ZoneInfo(zone) for code, zone in cursor.execute(SQL["zones"], asked).fetchall()}


def visible(kind: Kind, view: View) -> sql.Composed:
    """A query for the rows of a kind that have a legal entity, as the view sees them: put it in brackets."""
    until: sql.Composable = sql.SQL("%(until)s")
    if view.zones:
        cases = [
            sql.SQL("when {} then {}::timestamptz").format(code, view.until(zone))
            for code, zone in view.zones.items()
        ]
        until = sql.SQL("case entity {} else %(until)s end").format(sql.SQL(" ").join(cases))
    return sql.SQL(SQL["visible"]).format(
        columns=columns(kind.columns), current=kind.current, history=kind.history, until=until
    )
