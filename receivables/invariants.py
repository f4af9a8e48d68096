"""What must be true of receivables in every publication, checked of the rows that a run brings.

A broken invariant is a value, a sentence: one that holds keeps the run from being published, because what
we worked out is wrong; another is told beside the publication, because the ERP itself says so. That the lines
are the ledger's balance is the tie-out's business; that buckets partition it, and that the content hash is
that of the rows, is seen while publishing. Source: design, the model's invariants.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql

from receivables.billing import TOUCHED
from receivables.queries import queries
from receivables.staging import set_tenant

SQL = queries(__file__)
CHECKS: Final = (
    "open_amounts",
    "receipts",
    "receipts",
    "balance",
    "instalments",
    "credit_notes",
    "rates",
    "net_and_tax",
    "taxes",
    "billed",
    "unbilled",
)


@dataclass(frozen=True)
class Broken:
    """An invariant that is broken, where and how; `holds` keeps the run from being published."""

    holds: bool
    sentence: str


def broken(connection: psycopg.Connection[Any], scope: Mapping[str, Any]) -> list[Broken]:
    """Every invariant that the run would break, a few sentences each; `scope` has the run's ids."""
    with connection.transaction(), connection.cursor() as cursor:
        set_tenant(cursor, scope["tenant_id"])
        return [
            Broken(holds, sentence)
            for check in CHECKS
            for holds, sentence in cursor.execute(
                sql.SQL(SQL[check]).format(touched=TOUCHED), scope
            ).fetchall()
        ]
