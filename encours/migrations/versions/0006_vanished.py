"""What vanished from the ERP, with the two proofs of every closing, and customers whose number changed."""

from __future__ import annotations

from pathlib import Path

import psycopg
from alembic import op

revision = "0006"
down_revision = "0005"

FILES = ("0006_vanished.sql", "0006_aliases.sql")


def upgrade() -> None:
    """Runs the SQL files as they are, through psycopg itself."""
    connection = op.get_bind().connection.driver_connection
    if not isinstance(connection, psycopg.Connection):
        raise TypeError("The versions run through psycopg 3 only.")
    for name in FILES:
        connection.execute(Path(__file__).with_name(name).read_bytes())
