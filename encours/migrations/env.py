"""What Alembic runs to apply the versions: one connection, one transaction, one upgrade at a time.

Refuses the offline mode: the versions are SQL files already.
"""

from __future__ import annotations

import psycopg
from alembic import context
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from encours.migrations import LOCK

url = context.config.attributes["url"]
engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=NullPool)
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        connection.exec_driver_sql(f"select pg_advisory_xact_lock({LOCK})")
        context.run_migrations()
