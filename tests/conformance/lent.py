"""The real hub, lent to the suite: a connector on a real database, with the ERP's clock and no waiting."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Protocol

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from connectors.kit.testing.bench import Bench
from connectors.kit.testing.ports import Erp
from connectors.systems import SYSTEMS
from encours.credential import NewCredential
from encours.hub import Hub
from encours.postgres import SUPERUSER, Postgres
from encours.settings import Settings
from encours.sync import SyncResult
from identity.secret import Secret
from tests.conformance.drivers import DRIVERS, Driver

LOOPBACK = "127.0.0.1/32"
TODAY = date(2026, 3, 24)
ITEMS = 60  # of an ERP, or a few more: every case has one of its own


class Database(Protocol):
    """What a hub needs of the database fixture."""

    @property
    def postgres(self) -> Postgres: ...

    @property
    def name(self) -> str: ...

    def environment(self) -> dict[str, str]: ...


def _no_pause(_seconds: float) -> None:
    """What a misbehaving ERP makes us wait for is not waited for here."""


@dataclass
class Lent:
    """One connector; see connectors.kit.testing.ports.Connector."""

    hub: Hub
    database: Database
    key: str

    def sync(self, *, sweep: bool | None = None) -> SyncResult:
        return self.hub.sync(self.key, sweep=sweep)

    def rows(self, table: str) -> Sequence[Mapping[str, Any]]:
        connector = self.hub.registry.connector(self.key).connector_id
        query = sql.SQL("select * from {} where connector_id = %s").format(
            sql.Identifier("receivables", table)
        )
        url = self.database.postgres.url(SUPERUSER, self.database.name)
        with psycopg.connect(url) as connection, connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query, [connector]).fetchall()

    def content(self) -> str:
        published = sorted(self.rows("publication"), key=lambda row: row["number"])
        return str(published[-1]["content_hash"]) if published else ""

    def suspects(self) -> int:
        return int(max(self.rows("run"), key=lambda row: row["number"])["suspects"])

    def reasons(self) -> Sequence[tuple[str, str]]:
        return [(reject.code, reject.field) for reject in self.hub.rejects(self.key)]


def _new_credential(words: tuple[str, ...]) -> NewCredential | None:
    """User and password, and where a sender signs too, its pair; None where nobody signs in."""
    if not words:
        return None
    user, password, *sender = words
    return NewCredential(user, Secret(password), *((sender[0], Secret(sender[1])) if sender else ()))


class Lender:
    """Makes ERPs and connectors; see connectors.kit.testing.ports.Setup."""

    def __init__(self, database: Database, home: Path) -> None:
        self._database = database
        self._home = home
        self._numbers = itertools.count(1)
        self._started: list[Driver] = []

    def erp(self, system: str, today: date | None = None) -> Driver:
        self._started.append(DRIVERS[system].start(items=ITEMS, today=today or TODAY))
        return self._started[-1]

    def connect(self, erp: Erp, clock: Callable[[], datetime] | None = None, **settings: Any) -> Lent:
        (driver,) = [each for each in self._started if id(each) == id(erp)]
        environment = self._database.environment() | {
            "ENCOURS_HOME": str(self._home),
            "ENCOURS_KEY_FILE": str(self._home / "key"),
            "ENCOURS_PRIVATE_NETWORKS": LOOPBACK,
        }
        values: dict[str, Any] = {
            name.removeprefix("ENCOURS_").lower(): value for name, value in environment.items()
        }
        hub = Hub(Settings(**values), clock=clock or erp.now, sleep=_no_pause)
        number = next(self._numbers)
        key = f"c{number}"
        hub.add_connector(
            system=erp.system,
            key=key,
            tenant=f"t{number}",  # a tenant of its own: its zone is the connector's
            settings=erp.settings(**settings),
            credential=_new_credential(driver.credential),
        )
        return Lent(hub, self._database, key)

    def bench(self, system: str) -> Bench:
        """A bench whose ERP and connector no other case sees."""
        erp = self.erp(system)
        return Bench(SYSTEMS[system], self, erp, self.connect(erp))

    def stop(self) -> None:
        """Ends every ERP that it has started."""
        while self._started:
            self._started.pop().stop()
