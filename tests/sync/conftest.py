"""Whole syncs: simulated ERPs in processes of their own, and installations with a fresh database and key."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, LiteralString, Protocol

import psycopg
import pytest
import requests
from psycopg import sql
from psycopg.rows import dict_row

from encours import simulation
from encours.credential import NewCredential
from encours.hub import Hub
from encours.postgres import SUPERUSER, Postgres, Role
from encours.settings import Settings
from identity.secret import Secret
from receivables.reading import RunRow
from tests.sync import intacct
from tests.sync.intacct import Intacct

LOOPBACK = "127.0.0.1/32"
VISIBLE = (
    "legal_entity",
    "control_account",
    "customer",
    "document",
    "open_item",
    "receipt",
    "allocation",
    "bookmark",
    "publication",
)


class Database(Protocol):
    """What an installation needs of the database fixture."""

    @property
    def postgres(self) -> Postgres: ...

    @property
    def name(self) -> str: ...

    def url(self, role: Role) -> str: ...

    def environment(self) -> dict[str, str]: ...


@dataclass
class Erp:
    """One simulated ERP as its own operator sees it."""

    name: str
    url: str
    user: str
    password: str
    company_codes: list[str]
    http: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.http.trust_env = False

    def control(self, address: str, wish: dict[str, Any] | None = None, **query: Any) -> Any:
        """What a control address answers to GET, or to POST of a wish."""
        url = f"{self.url}/_sandbox/{address}"
        answer = (
            self.http.get(url, params=query, timeout=60)
            if wish is None
            else self.http.post(url, json=wish, timeout=60)
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, **wish: Any) -> list[dict[str, Any]]:
        """Posts business; the documents posted or touched."""
        found: list[dict[str, Any]] = self.control("post", wish)["posted"]
        return found

    def fault(self, name: str, **wish: Any) -> list[dict[str, Any]]:
        """Switches a fault on; what it did, each `amount` being rows minus ledger."""
        on = self.control("faults", {"name": name, **wish})["faults"]
        (did,) = [fault["did"] for fault in on if fault["name"] == name]
        return list(did)

    def well(self) -> None:
        """Switches every fault off and forgets every misbehaviour."""
        for fault in self.control("faults")["faults"]:
            self.control("faults", {"name": fault["name"], "on": False})
        assert self.http.delete(f"{self.url}/_sandbox/misbehave", timeout=60).status_code == 200

    def requests_since(self, number: int) -> list[dict[str, Any]]:
        """The access log after this request."""
        found: list[dict[str, Any]] = self.control("log", since=number)["requests"]
        return found

    def answered(self, since: int) -> Counter[str]:
        """How many rows each entity set has answered with after this request."""
        found: Counter[str] = Counter()
        for request in self.requests_since(since):
            found[request["set"]] += request["rows"]
        return found

    def last_request(self) -> int:
        """The number of the newest request."""
        return int(self.control("log", since=10**9)["last"])

    def rows(self, service: str, entity_set: str) -> list[dict[str, Any]]:
        """Every row of a set, read by a plain client."""
        found: list[dict[str, Any]] = []
        url: str | None = f"{self.url}/sap/opu/odata/sap/{service}/{entity_set}"
        while url:
            answer = self.http.get(
                url, auth=(self.user, self.password), headers={"Accept": "application/json"}, timeout=60
            )
            assert answer.status_code == 200, answer.text
            found += answer.json()["d"]["results"]
            url = answer.json()["d"].get("__next")
        return found

    def items(self) -> dict[tuple[str, ...], dict[str, Any]]:
        """All customer items as the ERP prints them, by company code, year, document and item."""
        found = self.rows("API_OPLACCTGDOCITEMCUBE_SRV", "A_OperationalAcctgDocItemCube")
        key = ("CompanyCode", "FiscalYear", "AccountingDocument", "AccountingDocumentItem")
        return {tuple(row[name] for name in key): row for row in found if row["FinancialAccountType"] == "D"}


@dataclass
class Sandbox:
    """A running sandbox process."""

    process: subprocess.Popen[str]
    home: Path
    tenants: dict[str, Erp]


@dataclass
class Installation:
    """A hub on a database, key and home of its own."""

    hub: Hub
    database: Database
    environment: dict[str, str]

    def connect(self, erp: Erp, key: str, **settings: Any) -> str:
        """Adds a connector to a simulated ERP; its key."""
        chosen = {"base_url": erp.url, "company_codes": erp.company_codes, **settings}
        credential = NewCredential(erp.user, Secret(erp.password))
        self.hub.add_connector(
            system="sap_s4hana", key=key, tenant=erp.name, settings=chosen, credential=credential
        )
        return key

    def change(self, key: str, **settings: Any) -> None:
        """Changes some settings of a connector."""
        kept = self.hub.registry.connector(key).settings
        self.hub.change(key, {"settings": {**kept, **settings}})

    def of(self, key: str, table: str, condition: LiteralString = "true") -> list[dict[str, Any]]:
        """A connector's rows of a table in `receivables`, read as the server's owner, who sees every tenant's."""
        connector = self.hub.registry.connector(key).connector_id
        query = sql.SQL("select * from {} where connector_id = {} and {}").format(
            sql.Identifier("receivables", table), connector, sql.SQL(condition)
        )
        with (
            psycopg.connect(self.database.postgres.url(SUPERUSER, self.database.name)) as connection,
            connection.cursor(row_factory=dict_row) as cursor,
        ):
            return cursor.execute(query).fetchall()

    def visible(self, key: str) -> dict[str, list[str]]:
        """All that readers see of a connector, to be compared with what they see later."""
        return {table: sorted(map(repr, self.of(key, table))) for table in VISIBLE}

    def last_run(self, key: str) -> RunRow:
        """The connector's latest run."""
        connector = self.hub.registry.connector(key)
        run = self.hub.store.status(connector.tenant_id, connector.connector_id).run
        assert run is not None
        return run

    def started(self, *arguments: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        """A command line of `encours`, running in a process of its own that Ctrl-C reaches.

        A job in the background of a shell ignores it, and so would its children.
        """
        heeding = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
        return subprocess.Popen(
            [sys.executable, "-c", f"{heeding}; from encours.cli import main; main()", *arguments],
            env={**os.environ, **self.environment},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def command(self, *arguments: str) -> tuple[int, str, str]:
        """A command line of `encours` to its end: exit code, standard output, standard error."""
        with self.started(*arguments) as process:
            out, err = process.communicate(timeout=120)
        return process.returncode, out, err


Start = Callable[..., Sandbox]
Install = Callable[[], Installation]


Starting = Callable[..., AbstractContextManager[Sandbox]]


@pytest.fixture(scope="session")
def starting(tmp_path_factory: pytest.TempPathFactory) -> Starting:
    """Starts a sandbox on free ports that ends with a block."""

    @contextmanager
    def starter(*arguments: str) -> Iterator[Sandbox]:
        home = tmp_path_factory.mktemp("sandbox")
        command = [sys.executable, "-m", "sandbox", "start", "--home", str(home), *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"the sandbox ended with {process.wait()}"
        tenants = {
            name: Erp(name, **place)
            for name, place in json.loads(line)["tenants"].items()
            if place.pop("system") == "sap_s4hana"
        }
        try:
            yield Sandbox(process, home, tenants)
        finally:
            for erp in tenants.values():
                erp.http.close()
            process.terminate()
            process.wait(timeout=20)
            process.stdout.close()

    return starter


@pytest.fixture(scope="module")
def start(starting: Starting) -> Iterator[Start]:
    """Starts sandboxes on free ports that end with the module."""
    with ExitStack() as started:
        yield lambda *arguments: started.enter_context(starting(*arguments))


@pytest.fixture(scope="module")
def install(new_database: Callable[[], Database], tmp_path_factory: pytest.TempPathFactory) -> Install:
    """Makes installations that may reach this machine's sandbox."""

    def installed() -> Installation:
        database, home = new_database(), tmp_path_factory.mktemp("home")
        environment = database.environment() | {
            "ENCOURS_HOME": str(home),
            "ENCOURS_KEY_FILE": str(home / "key"),
            "ENCOURS_PRIVATE_NETWORKS": LOOPBACK,
        }
        values = {name.removeprefix("ENCOURS_").lower(): value for name, value in environment.items()}
        return Installation(Hub(Settings(**values)), database, environment)

    return installed


@pytest.fixture(scope="module")
def globex(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intacct]:
    """A simulated Sage Intacct company."""
    with intacct.started(tmp_path_factory.mktemp("sandbox"), "--items", "300") as running:
        yield running


@pytest.fixture(scope="module")
def connected(install: Install, globex: Intacct) -> Installation:
    """An installation that has loaded that company for the first time."""
    installation, key = install(), intacct.KEY
    assert simulation.connect(installation.hub, {"globex": globex.told}) == [key]
    assert simulation.connect(installation.hub, {"globex": globex.told}) == [key], "twice is once"
    result = installation.hub.sync(key)
    assert (result.state, result.verdict, result.grade, result.rejects) == ("published", "equal", "ledger", 0)
    assert {line.account for line in result.totals} == {"12000", "12100", "24000"}
    assert all(line.erp == line.hub for line in result.totals)
    return installation
