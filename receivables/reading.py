"""What people may know of a connector: where it stands, its runs, their tie-outs, what vanished.

Reads published and logged rows only, never staging: staged rows have no tenant.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

import psycopg
from psycopg.rows import class_row, dict_row

from receivables.publish import Publication
from receivables.queries import queries
from receivables.tie_out import TieOut

SQL = queries(__file__)
Row = TypeVar("Row")


@dataclass(frozen=True)
class RunRow:
    """One run as it stands: `explanation` of why it is held, `notes` of what does not hold it."""

    number: int
    state: str
    mode: str
    reason: str | None
    message: str | None
    explanation: list[str]
    opened_at: datetime
    ended_at: datetime | None
    rows_read: int
    rows_staged: int
    rejects: int
    suspects: int
    notes: list[str]
    decided_by: str | None  # who published or discarded it once it was held


@dataclass(frozen=True)
class Status:
    """Where a connector stands; `unpublished_since` is when the first run ended without publishing.

    `waived` says with which difference the publication was published, if with any.
    """

    run: RunRow | None
    publication: Publication | None
    open_amounts: list[tuple[Decimal, str]]
    differences: list[TieOut]
    rejects: int
    unpublished_since: datetime | None
    waived: str | None


@dataclass(frozen=True)
class TieOutReport:
    """One comparison: the run and its lines, whole accounts before the customers that differ."""

    run: RunRow
    rows: list[TieOut]


@dataclass(frozen=True)
class SuspectRow:
    """An open line that sweeps do not show any more: an item, or a receipt (its amount negative).

    `run` is the first whose sweep did not show it. It stays open until two proofs close it.
    """

    connector: str
    entity: str
    document: str  # as the ERP prints it
    number: str
    fiscal_year: str
    line: str
    account: str
    customer: str
    amount: Decimal
    currency: str
    run: int
    since: datetime


@dataclass(frozen=True)
class ClosingRow:
    """A line that closed because the ERP does not show it any more; `amount` is what was open of it."""

    connector: str
    entity: str
    document: str
    number: str
    fiscal_year: str
    line: str
    account: str
    customer: str
    amount: Decimal
    currency: str
    run: int
    closed_at: datetime
    first_proof: str
    second_proof: str


def status(cursor: psycopg.Cursor[Any], tenant_id: int, connector_id: int) -> Status:
    """Where the connector stands; differences are those of its last run."""
    scope = {"tenant_id": tenant_id, "connector_id": connector_id}
    run = _rows(cursor, RunRow, "last_run", scope)
    publication = _publication(cursor, scope)
    compared = _rows(cursor, TieOut, "tie_outs", {**scope, "run": run[0].number}) if run else []
    (rejects,) = cursor.execute(SQL["open_rejects"], scope).fetchone() or (0,)
    (since,) = cursor.execute(SQL["unpublished_since"], scope).fetchone() or (None,)
    (waived,) = cursor.execute(SQL["published_with"], scope).fetchone() or (None,)
    return Status(
        run=run[0] if run else None,
        publication=publication,
        open_amounts=_open_amounts(publication),
        differences=[line for line in compared if line.status == "different"],
        rejects=rejects,
        unpublished_since=since,
        waived=waived,
    )


def tie_out_report(
    cursor: psycopg.Cursor[Any], tenant_id: int, connector_id: int, run: int | None
) -> TieOutReport | None:
    """The comparison of this run, or of the latest compared one; None if there is none."""
    scope = {"tenant_id": tenant_id, "connector_id": connector_id, "run": run}
    found = _rows(cursor, RunRow, "compared_run", scope)
    if not found:
        return None
    return TieOutReport(found[0], _rows(cursor, TieOut, "tie_outs", {**scope, "run": found[0].number}))


def run_rows(
    cursor: psycopg.Cursor[Any],
    tenant_id: int,
    connector_id: int,
    *,
    state: str | None,
    number: int | None,
    limit: int,
) -> list[RunRow]:
    """The connector's latest runs, newest first; `number`: this one alone."""
    asked = {"state": state, "number": number, "limit": limit}
    scope = {"tenant_id": tenant_id, "connector_id": connector_id}
    return _rows(cursor, RunRow, "runs", {**scope, **asked})


def suspect_rows(
    cursor: psycopg.Cursor[Any], tenant_id: int, connector_id: int, connector: str
) -> list[SuspectRow]:
    """The open lines of a connector that the last sweep did not show."""
    scope = {"tenant_id": tenant_id, "connector_id": connector_id, "connector": connector}
    return _rows(cursor, SuspectRow, "suspects", scope)


def closing_rows(
    cursor: psycopg.Cursor[Any], tenant_id: int, connector_id: int, connector: str
) -> list[ClosingRow]:
    """The last thousand lines of a connector that closed with two proofs, newest first."""
    scope = {"tenant_id": tenant_id, "connector_id": connector_id, "connector": connector}
    return _rows(cursor, ClosingRow, "closings", scope)


def _rows(cursor: psycopg.Cursor[Any], row: type[Row], query: str, scope: dict[str, Any]) -> list[Row]:
    with cursor.connection.cursor(row_factory=class_row(row)) as typed:
        return typed.execute(SQL[query], scope).fetchall()


def _publication(cursor: psycopg.Cursor[Any], scope: dict[str, Any]) -> Publication | None:
    with cursor.connection.cursor(row_factory=dict_row) as named:
        found = named.execute(SQL["publication"], scope).fetchone()
    if found is None:
        return None
    return Publication(**{**found, "content_hash": f"{int(found['content_hash'], 2):032x}"})


def _open_amounts(publication: Publication | None) -> list[tuple[Decimal, str]]:
    """What is owed per document currency, less what is unapplied; currencies are never added."""
    totals: Sequence[Any] = publication.totals if publication else ()
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for total in totals:
        sums[total["currency"]] += Decimal(total["open"]) - Decimal(total.get("unapplied", 0))
    return [(amount, currency) for currency, amount in sorted(sums.items())]
