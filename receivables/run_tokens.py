"""Which credential, and which of its tokens, signed the requests of each run: what read what.

Written in the transaction that ends a run, or that tells of one that was interrupted; never changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from receivables.queries import queries

SQL = queries(__file__)


@dataclass(frozen=True)
class RunToken:
    """What signed `uses` requests of a run; `token_id` is None where the kind of credential has no tokens."""

    connector_id: int
    number: int  # the run's, in its connector
    opened_at: datetime
    ended_at: datetime | None
    credential_id: UUID
    token_id: UUID | None
    uses: int


@dataclass(frozen=True)
class LastRun:
    """The last run whose requests a credential signed."""

    credential_id: UUID
    connector_id: int
    number: int
    told_at: datetime


def keep(
    connection: psycopg.Connection[Any],
    scope: Mapping[str, Any],
    credential_id: UUID,
    counts: Iterable[tuple[UUID | None, int]],
    now: datetime,
) -> None:
    """Keeps how many requests each token signed (None: no token), in a transaction of the run's tenant."""
    for token_id, count in counts:
        if count:
            row = {"credential_id": credential_id, "token_id": token_id, "uses": count, "now": now}
            connection.execute(SQL["keep"], {**scope, **row})


def run_tokens(
    cursor: psycopg.Cursor[Any],
    tenant_id: int,
    *,
    connector_id: int | None = None,
    number: int | None = None,
    token_id: UUID | None = None,
    document: str | None = None,
) -> list[RunToken]:
    """What signed the tenant's runs, the latest first; narrowed to a run, a token or a document's runs."""
    asked = {
        "tenant_id": tenant_id,
        "connector_id": connector_id,
        "number": number,
        "token_id": token_id,
        "document": document,
    }
    with cursor.connection.cursor(row_factory=class_row(RunToken)) as typed:
        return typed.execute(SQL["signed"], asked).fetchall()


def last_runs(cursor: psycopg.Cursor[Any], tenant_id: int) -> list[LastRun]:
    """The last run of each of the tenant's credentials that has signed one."""
    with cursor.connection.cursor(row_factory=class_row(LastRun)) as typed:
        return typed.execute(SQL["last_runs"], {"tenant_id": tenant_id}).fetchall()
