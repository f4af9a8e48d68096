"""What a run would change of what readers see: rows by kind, and what each control account comes to.

Asked before a run is published that a person wants to look at first. Reads the run's staging, so the answer
is kept as sentences with the run: staging goes with the next one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from receivables.kinds import PUBLISHED, same
from receivables.queries import queries
from receivables.staging import set_tenant
from receivables.tie_out import SQL as TIE_OUT

SQL = queries(__file__)
SHOWN = 20  # accounts named in sentences


@dataclass(frozen=True)
class RowChanges:
    """How many rows of a kind a run adds, changes and takes away."""

    kind: str
    added: int
    changed: int
    withdrawn: int


@dataclass(frozen=True)
class Balance:
    """What is owed on one control account in one document currency, before and after; exact."""

    entity: str
    account: str
    currency: str
    before: Decimal
    after: Decimal

    @property
    def difference(self) -> Decimal:
        """After minus before."""
        return self.after - self.before


@dataclass(frozen=True)
class Changes:
    """What a run would change: kinds and balances that stay as they are do not appear."""

    rows: list[RowChanges] = field(default_factory=list)
    balances: list[Balance] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether readers would see anything else than before."""
        return bool(self.rows or self.balances)

    @property
    def sentences(self) -> list[str]:
        """The same for people: what comes and goes, then each account whose balance moves."""
        if not self:
            return ["Nothing that is published would change."]
        rows = [
            f"{one.kind.replace('_', ' ')}: {one.added:,} added, {one.changed:,} changed, "
            f"{one.withdrawn:,} withdrawn."
            for one in self.rows
        ]
        moved = [
            f"{one.entity}/{one.account}: {one.before:,f} becomes {one.after:,f} {one.currency} "
            f"({one.difference:+,f})."
            for one in self.balances[:SHOWN]
        ]
        if len(self.balances) > SHOWN:
            moved.append(f"And {len(self.balances) - SHOWN} more balances change.")
        return [*rows, *(moved or ["No balance changes."])]


def changes(connection: psycopg.Connection[Any], scope: Mapping[str, Any]) -> Changes:
    """What publishing the run would change; `scope` has its ids. To be asked after its tie-out."""
    with connection.transaction(), connection.cursor() as cursor:
        set_tenant(cursor, scope["tenant_id"])
        rows = []
        for kind in PUBLISHED:
            query = sql.SQL(SQL["rows"]).format(
                staged=kind.staged,
                current=kind.current,
                same_key=same(kind.key, "c", "s"),
                a_key=sql.Identifier("c", kind.key[0]),
                kind=sql.Literal(kind.name),
            )
            counted = cursor.execute(query, scope).fetchone() or (0, 0, 0)
            rows.append(RowChanges(kind.name, *counted))
    with connection.transaction(), connection.cursor(row_factory=class_row(Balance)) as typed:
        set_tenant(typed, scope["tenant_id"])
        query = sql.SQL(SQL["balances"]).format(lines=sql.SQL(TIE_OUT["lines"]))
        balances = typed.execute(query, scope).fetchall()
    return Changes([one for one in rows if one.added or one.changed or one.withdrawn], balances)
