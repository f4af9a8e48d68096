"""Receipts, allocations and taxes of documents; what an open item needs to be paid."""

from __future__ import annotations

from pathlib import Path

import psycopg
from alembic import op

revision = "0002"
down_revision = "0001"

FILES = ("0002_receipts.sql",)


def upgrade() -> None:
    """Runs the SQL file as it is: psycopg itself, so that no colon or percent sign means anything."""
    connection = op.get_bind().connection.driver_connection
    if not isinstance(connection, psycopg.Connection):
        raise TypeError("The versions run through psycopg 3 only.")
    for name in FILES:
        connection.execute(Path(__file__).with_name(name).read_bytes())
