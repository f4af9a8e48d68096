"""Rows that were set aside, and what people decide of them: looked at, read again, or done without.

A waived reject does not hold a run while the row comes unchanged and with the same fault; a changed row is
another reject. Refuses to waive one that is not open. Nothing here publishes: a row comes in with a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row

from receivables.errors import Misconfigured
from receivables.queries import queries
from receivables.records import Reject

SQL = queries(__file__)
STATES = ("open", "replayed", "waived")


@dataclass(frozen=True)
class RejectRow:
    """A row that was set aside, as received; `times` counts how often it was seen.

    `state` is open, replayed (read well since) or waived: by whom, when, why. `adapter` names what read it.
    """

    reject_id: int
    connector: str
    stream: str
    key: str | None
    code: str
    field: str
    message: str
    raw: bytes
    first_seen: datetime
    last_seen: datetime
    times: int
    state: str
    adapter: str | None
    waived_by: str | None
    waived_at: datetime | None
    waived_because: str | None


def reject_rows(
    cursor: psycopg.Cursor[Any],
    tenant_id: int,
    connector_id: int,
    connector: str,
    *,
    state: str | None = "open",
    reject_id: int | None = None,
) -> list[RejectRow]:
    """The rejects of a connector, newest first; `state` None: in any, `reject_id`: this one alone."""
    asked = {
        "tenant_id": tenant_id,
        "connector_id": connector_id,
        "connector": connector,
        "state": state,
        "reject_id": reject_id,
    }
    with cursor.connection.cursor(row_factory=class_row(RejectRow)) as typed:
        return typed.execute(SQL["rejects"], asked).fetchall()


def waive(cursor: psycopg.Cursor[Any], reject: RejectRow, by: str, reason: str, now: datetime) -> None:
    """Runs go on without this row from now on; raises Misconfigured if the reject is not open."""
    told = {"reject_id": reject.reject_id, "by": by, "reason": reason, "now": now}
    if cursor.execute(SQL["waive"], told).rowcount != 1:
        raise Misconfigured(
            f"Reject {reject.reject_id} of {reject.connector} is not open any more. "
            f"Look again: encours rejects show {reject.reject_id}"
        )


def still(cursor: psycopg.Cursor[Any], reject: RejectRow, found: Reject, now: datetime) -> None:
    """The row was read again and cannot be read still: its reason of today, and that it was seen."""
    told = {"code": found.code, "field": found.field, "message": found.message, "key": found.key}
    cursor.execute(SQL["still"], {**told, "reject_id": reject.reject_id, "now": now})
