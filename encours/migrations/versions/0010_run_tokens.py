"""Which credential, and which of its tokens, signed the requests of a run."""

from __future__ import annotations

from pathlib import Path

import psycopg
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Runs the SQL file as it is, through psycopg itself."""
    connection = op.get_bind().connection.driver_connection
    if not isinstance(connection, psycopg.Connection):
        raise TypeError("The versions run through psycopg 3 only.")
    connection.execute(Path(__file__).with_name("0010_run_tokens.sql").read_bytes())
