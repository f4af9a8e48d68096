"""The first tables: registry, receivables, identity."""

from __future__ import annotations

from pathlib import Path

import psycopg
from alembic import op

revision = "0001"
down_revision = None

FILES = ("0001_registry.sql", "0001_receivables.sql", "0001_identity.sql")


def upgrade() -> None:
    """Runs the SQL files as they are: psycopg itself, so that no colon or percent sign means anything."""
    connection = op.get_bind().connection.driver_connection
    if not isinstance(connection, psycopg.Connection):
        raise TypeError("The versions run through psycopg 3 only.")
    for name in FILES:
        connection.execute(Path(__file__).with_name(name).read_bytes())
