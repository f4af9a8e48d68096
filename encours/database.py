"""Connections to the hub's own database, each as the role that its user needs and in a transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from encours.postgres import Role
from encours.settings import Settings
from receivables.errors import Transient

PATIENCE = 3  # seconds for a connection


class Database:
    """The database that the settings name; leaving a connection in order commits, else rolls back."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @contextmanager
    def app(self) -> Iterator[psycopg.Connection[Any]]:
        """A connection as the application role; Transient while the database is away."""
        try:
            connection = self._connected("encours_app")
        except psycopg.OperationalError as error:
            start = " Start it: encours up." if self._settings.embedded else f" It says: {error}"
            raise Transient(f"The hub's database does not answer.{start}") from error
        with connection:
            yield connection

    @contextmanager
    def identity(self) -> Iterator[psycopg.Connection[Any]]:
        """A connection as the role of identity, for identity alone; raises psycopg.OperationalError."""
        with self._connected("encours_identity") as connection:
            yield connection

    def _connected(self, role: Role) -> psycopg.Connection[Any]:
        return psycopg.connect(self._settings.database_url(role), connect_timeout=PATIENCE)
