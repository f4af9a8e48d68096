"""Rotation of keys while they are in use: a new key seals at once, and every sealed row is sealed again.

The older keys still open what they sealed, so readers notice nothing. Rows are sealed again some at a time,
each batch one transaction with its audit entry; a rotation that was interrupted goes on with the rows that
are left. Refuses what the vault refuses: a row that does not open is named, and stays as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final, NamedTuple

import psycopg
from psycopg import sql

from identity.audit import Audit
from identity.ports import Database
from identity.queries import queries
from identity.transaction import of_tenant
from identity.vault import Place, Sealed, Vault

SQL = queries(__file__)
BATCH: Final = 200  # rows of one transaction


class Column(NamedTuple):
    """A sealed column: its table, the column that names its row, and its version, wrapped key and text."""

    table: str
    row: str | None  # None: one row per tenant, named after the table
    version: str
    wrapped: str
    sealed: str


SEALED: Final = (
    Column("credential", "credential_id", "key_version", "wrapped_key", "secret"),
    Column("credential", "credential_id", "sender_key_version", "sender_wrapped_key", "sender_secret"),
    Column("token", "credential_id", "access_key_version", "access_wrapped_key", "access_token"),
    Column("token", "credential_id", "refresh_key_version", "refresh_wrapped_key", "refresh_token"),
    Column("audit_chain", None, "key_version", "wrapped_key", "chain_key"),
)


class Rotation:
    """Rotates the keys of all tenants of one installation; `by` is the person who asks, for the audit."""

    def __init__(self, database: Database, vault: Vault, audit: Audit) -> None:
        self._database = database
        self._vault = vault
        self._audit = audit

    def current(self) -> str:
        """The key version that seals from now on; raises Denied while nothing was ever sealed."""
        return self._vault.current()

    def versions(self, tenants: Collection[int]) -> dict[str, int]:
        """How many sealed values there are of each key version."""
        counts: dict[str, int] = {}
        for tenant_id in tenants:
            with of_tenant(self._database, tenant_id) as connection:
                for column in SEALED:
                    for version, count in connection.execute(_query("versions", column), _of(tenant_id)):
                        counts[version] = counts.get(version, 0) + count
        return counts

    def begin(self) -> str:
        """Makes a new key the current one and gives its version."""
        with self._database() as connection:
            return self._vault.rotate(connection)

    def seal_again(self, tenants: Collection[int], *, by: str) -> Iterator[int]:
        """Seals what older keys sealed with the current one, and gives how many after each transaction."""
        for tenant_id in tenants:
            for column in SEALED:
                while done := self._batch(tenant_id, column, by):
                    yield done

    def _batch(self, tenant_id: int, column: Column, by: str) -> int:
        version = self._vault.current()
        with of_tenant(self._database, tenant_id) as connection:
            found = connection.execute(
                _query("sealed_before", column), {**_of(tenant_id), "version": version, "limit": BATCH}
            ).fetchall()
            for row, *sealed in found:
                place = Place(tenant_id, str(row), column.sealed)
                self._seal_again(connection, column, row, place, Sealed(*sealed))
            if found:
                facts: dict[str, str | int | None] = {
                    "key": version,
                    "table": column.table,
                    "column": column.sealed,
                    "rows": len(found),
                }
                self._audit.tell(
                    connection, tenant_id=tenant_id, event="rotated", credential_id=None, by=by, facts=facts
                )
        return len(found)

    def _seal_again(
        self, connection: psycopg.Connection[Any], column: Column, row: Any, place: Place, before: Sealed
    ) -> None:
        after = self._vault.seal(connection, place, self._vault.open(place, before))
        values = {
            "key_version": after.key_version,
            "wrapped_key": after.wrapped_key,
            "text": after.ciphertext,
        }
        connection.execute(_query("seal_again", column), {**_of(place.tenant_id), **values, "row": row})


def _query(name: str, column: Column) -> sql.Composed:
    """A query of one sealed column; its names are ours, from the list above."""
    return sql.SQL(SQL[name]).format(
        table=sql.Identifier("identity", column.table),
        row=sql.Identifier(column.row) if column.row else sql.Literal(column.table),
        version=sql.Identifier(column.version),
        wrapped=sql.Identifier(column.wrapped),
        sealed=sql.Identifier(column.sealed),
    )


def _of(tenant_id: int) -> dict[str, Any]:
    return {"tenant_id": tenant_id}
