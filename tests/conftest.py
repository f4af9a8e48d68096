"""What all tests share: a real PostgreSQL with fresh databases, and identity providers to start.

ENCOURS_TEST_PG_BIN names the bin folder of another PostgreSQL (15 or later) to test with.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from encours.migrations import upgrade
from encours.postgres import Postgres, Role
from tests.sandbox.idps import Idps

if TYPE_CHECKING:
    from tests.sandbox.idp_client import Provider

pytest.register_assert_rewrite("connectors.kit.testing")

TEMPLATE = "encours_template"
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
    """A short folder that the server's own user reaches when the tests run as root."""
    folder = Path(tempfile.mkdtemp(prefix="encours-", dir="/tmp"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres(server_folder: Path) -> Iterator[Postgres]:
    """The running server."""
    programs = os.environ.get("ENCOURS_TEST_PG_BIN")
    server = Postgres(server_folder / "home", programs=Path(programs) if programs else None, durable=False)
    with server:
        server.create_database(TEMPLATE, owner="encours_owner", guests=ENCOURS_ROLES)
        upgrade(server.url("encours_owner", TEMPLATE))
        yield server


@pytest.fixture(scope="session")
def new_database(postgres: Postgres) -> Callable[[], Database]:
    """Makes fresh databases, for fixtures of any scope; they go with their server."""

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
def database(new_database: Callable[[], Database]) -> Database:
    """A fresh database for one test."""
    return new_database()


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
