"""Customers whose number changed: renumbered, or merged into another; dated aliases of the numbers they had.

A customer that comes with another number and the same own id of the ERP's was renumbered. One that the ERP's
record calls deleted was merged into the only customer to whom its lines belong now. What is published under
the old number is read again by key; once no line has that number any more its customer moves to the history,
and the alias leads to the one that took over. A number that lines still have is no alias: nothing is renamed
here that the ERP does not show renamed, so no later run undoes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import sql

from receivables.queries import queries
from receivables.staging import set_tenant
from receivables.tie_out import SQL as BOOKS

SQL = queries(__file__)


class Aliases:
    """The changed numbers of one run, on the run's connection."""

    def __init__(self, connection: psycopg.Connection[Any], scope: Mapping[str, Any]) -> None:
        self._connection = connection
        self._scope = scope

    def find(self) -> list[tuple[str, str, str]]:
        """Finds them; (entity, fiscal year, number) of what is published under them, to be read by key."""
        with self._connection.transaction(), self._connection.cursor() as cursor:
            set_tenant(cursor, self._scope["tenant_id"])
            for query in ("forget", "renumbered", "deleted"):
                cursor.execute(SQL[query], self._scope)
            return cursor.execute(SQL["by_key"], self._scope).fetchall()

    def withdraw(self) -> None:
        """Stages the withdrawal of the customers whose number no line has any more."""
        unfounded = sql.SQL(SQL["unfounded"]).format(lines=sql.SQL(BOOKS["lines"]))
        with self._connection.transaction(), self._connection.cursor() as cursor:
            set_tenant(cursor, self._scope["tenant_id"])
            for query in (SQL["merged"], unfounded, SQL["withdraw"]):
                cursor.execute(query, self._scope)

    def keep(self, cursor: psycopg.Cursor[Any], scope: Mapping[str, Any]) -> None:
        """Keeps the aliases, in the transaction that has published; `scope` has the run's `day`."""
        for query in ("end", "lead_on", "keep"):
            cursor.execute(SQL[query], scope)
