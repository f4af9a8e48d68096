"""One transaction of the identity role for one tenant: commits when left in order, else rolls back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from identity.ports import Database


@contextmanager
def of_tenant(database: Database, tenant_id: int) -> Iterator[psycopg.Connection[Any]]:
    """A connection in a transaction that sees the rows of this tenant only (row-level security)."""
    with database() as connection, connection.transaction():
        connection.execute("select set_config('app.tenant', %s, true)", [str(tenant_id)])
        yield connection
