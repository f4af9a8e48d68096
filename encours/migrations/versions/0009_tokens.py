"""OAuth clients, and the tokens that they get."""

from __future__ import annotations

from pathlib import Path

import psycopg
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Runs the SQL file as it is, through psycopg itself."""
    connection = op.get_bind().connection.driver_connection
    if not isinstance(connection, psycopg.Connection):
        raise TypeError("The versions run through psycopg 3 only.")
    connection.execute(Path(__file__).with_name("0009_tokens.sql").read_bytes())
