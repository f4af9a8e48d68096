"""What all tests share: a real PostgreSQL with fresh databases, and identity providers to start.

ENCOURS_TEST_PG_BIN names the bin folder of another PostgreSQL (15 or later) to test with.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql

from encours.migrations import upgrade
from encours.postgres import SUPERUSER, Postgres, Role
from tests.sandbox.idps import Idps

if TYPE_CHECKING:
    from tests.sandbox.idp_client import Provider

pytest.register_assert_rewrite("connectors.kit.testing")

TEMPLATE = "encours_template"
MEMORY = Path("/dev/shm")
ROOM = 4 * 2**30  # bytes: each worker's server has a dozen databases at a time
SCRAM_ITERATIONS = 160000  # the PostgreSQL that can be told how many
ENCOURS_ROLES: list[Role] = ["encours_owner", "encours_app", "encours_identity", "encours_auditor"]


@dataclass(frozen=True)
class Database:
    """A database with the newest tables and no rows."""

    postgres: Postgres
    name: str

    def url(self, role: Role) -> str:
        """The libpq address of a role: encours_owner, encours_app, encours_identity, encours_auditor."""
        return self.postgres.url(role, self.name)

    def environment(self) -> dict[str, str]:
        """The ENCOURS_* variables that make a process (or Settings) use this database."""
        return {
            f"ENCOURS_{role.removeprefix('encours_').upper()}_URL": self.url(role) for role in ENCOURS_ROLES
        } | {"ENCOURS_AIRFLOW_URL": self.postgres.url("airflow", "airflow")}


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """A short folder that the server's own user reaches when the tests run as root, in memory if there is room."""
    folder = Path(tempfile.mkdtemp(prefix="encours-", dir=MEMORY if roomy(MEMORY) else "/tmp"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


def roomy(folder: Path) -> bool:
    """Whether it is there and has room for the servers of all workers."""
    return folder.is_dir() and shutil.disk_usage(folder).free >= ROOM


@pytest.fixture(scope="session")
def postgres(server_folder: Path) -> Iterator[Postgres]:
    """The running server."""
    programs = os.environ.get("ENCOURS_TEST_PG_BIN")
    server = Postgres(server_folder / "home", programs=Path(programs) if programs else None, durable=False)
    with server:
        sign_in_quickly(server)
        server.create_database(TEMPLATE, owner="encours_owner", guests=ENCOURS_ROLES)
        upgrade(server.url("encours_owner", TEMPLATE))
        yield server


def sign_in_quickly(server: Postgres) -> None:
    """Hashes each password once and not 4,096 times: tests open tens of thousands of connections."""
    with psycopg.connect(server.url(SUPERUSER, "postgres"), autocommit=True) as connection:
        if connection.info.server_version < SCRAM_ITERATIONS:
            return
        connection.execute("set scram_iterations = 1")
        for role, password in json.loads(server.passwords.read_text()).items():
            connection.execute(sql.SQL("alter role {} password {}").format(sql.Identifier(role), password))


@pytest.fixture(scope="session")
def new_database(postgres: Postgres) -> Callable[[], Database]:
    """Makes fresh databases, for fixtures of any scope; they end with their server."""

    def new() -> Database:
        name = f"test_{secrets.token_hex(6)}"
        postgres.create_database(name, owner="encours_owner", guests=ENCOURS_ROLES, template=TEMPLATE)
        return Database(postgres, name)

    return new


Tell = Callable[..., None]
TOLD = "told"


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Tell:
    """Prints lines when all tests are over, also of a test that runs in a process of its own."""
    return lambda *lines: record_property(TOLD, "\n".join(lines))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints what was told: what was proven is to be seen where the tests run."""
    reports = [report for found in terminalreporter.stats.values() for report in found]
    for report in reports:
        if getattr(report, "when", "") == "call":
            for name, text in report.user_properties:
                if name == TOLD:
                    terminalreporter.write_line(f"\n{text}")


@pytest.fixture
def database(new_database: Callable[[], Database], postgres: Postgres) -> Iterator[Database]:
    """A fresh database for one test."""
    made = new_database()
    yield made
    with psycopg.connect(postgres.url(SUPERUSER, "postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(made.name)))


@pytest.fixture(scope="module")
def idps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Idps]:
    """Start identity providers that end with the module."""
    started = Idps(tmp_path_factory.mktemp("idp"))
    yield started
    started.stop()


@pytest.fixture
def idp(running: Provider) -> Iterator[Provider]:
    """The provider that runs for the module, with nothing commanded before and after; its log begins now."""
    running.since = running.control("log")["last"]
    yield running
    running.well()
