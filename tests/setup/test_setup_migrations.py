from __future__ import annotations

import secrets
import subprocess
import sys
import time
from pathlib import Path

import psycopg

import encours.migrations
from encours.migrations import LOCK, upgrade
from encours.postgres import Postgres
from tests.conftest import Database

VERSIONS = Path(encours.migrations.__file__).with_name("versions")
NEWEST = max(file.name[:4] for file in VERSIONS.glob("[0-9]*.py"))

TABLES = """
select schemaname || '.' || tablename from pg_tables
where schemaname in ('encours', 'receivables', 'identity') order by 1
"""

WAITING = """
select count(*) from pg_locks join pg_database on pg_database.oid = database
where locktype = 'advisory' and not granted and datname = current_database()
"""


def tables(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [name for (name,) in connection.execute(TABLES)]


def test_two_upgrades_at_once_make_the_tables_once(postgres: Postgres, database: Database) -> None:
    name = f"empty_{secrets.token_hex(4)}"
    postgres.create_database(name, owner="encours_owner", guests=["encours_owner"])
    url = postgres.url("encours_owner", name)
    command = [
        sys.executable,
        "-c",
        "import sys; from encours.migrations import upgrade; upgrade(sys.argv[1])",
    ]
    with psycopg.connect(url, autocommit=True) as holder:
        holder.execute("select pg_advisory_lock(%s)", [LOCK])
        both = [subprocess.Popen([*command, url]), subprocess.Popen([*command, url])]
        deadline = time.monotonic() + 60
        while holder.execute(WAITING).fetchone() != (2,) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert tables(url) == []
    assert [process.wait(60) for process in both] == [0, 0]
    assert tables(url) == tables(database.url("encours_owner"))
    assert "encours.connector" in tables(url)
    with psycopg.connect(url) as connection:
        assert connection.execute("select version_num from alembic_version").fetchall() == [(NEWEST,)]


def test_an_upgrade_of_the_newest_changes_nothing(database: Database) -> None:
    before = tables(database.url("encours_owner"))
    upgrade(database.url("encours_owner"))
    assert tables(database.url("encours_owner")) == before


def test_every_table_belongs_to_the_owner_role(database: Database) -> None:
    with psycopg.connect(database.url("encours_owner")) as connection:
        owners = connection.execute(
            "select distinct tableowner from pg_tables where schemaname !~ '^(pg_|inf)'"
        )
        assert owners.fetchall() == [("encours_owner",)]
