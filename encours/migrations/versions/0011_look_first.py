"""Held runs that people are to look at even when nothing else holds them any more."""

from __future__ import annotations

from pathlib import Path

import psycopg
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Runs the SQL file as it is, through psycopg itself."""
    connection = op.get_bind().connection.driver_connection
    if not isinstance(connection, psycopg.Connection):
        raise TypeError("The versions run through psycopg 3 only.")
    connection.execute(Path(__file__).with_name("0011_look_first.sql").read_bytes())
