"""Net and tax of documents, money of receipts alone, and the zones of legal entities."""

from __future__ import annotations

from pathlib import Path

import psycopg
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Runs the SQL file as it is, through psycopg itself."""
    connection = op.get_bind().connection.driver_connection
    if not isinstance(connection, psycopg.Connection):
        raise TypeError("The versions run through psycopg 3 only.")
    connection.execute(Path(__file__).with_name("0005_billing.sql").read_bytes())
