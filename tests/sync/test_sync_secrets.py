"""A connector's password shows up nowhere: not after good syncs, not after failing ones.

Each channel is first leaked into on purpose, and the search must find it.
"""

from __future__ import annotations

import base64
import logging
import secrets
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import psutil
import psycopg
import pytest
from psycopg import sql

from encours.credential import NewCredential
from encours.postgres import SUPERUSER
from identity.secret import Secret
from receivables.errors import HubError, Misconfigured

if TYPE_CHECKING:
    from tests.sync.conftest import Erp, Install, Installation, Start

KEY = "example-s4"
ITEMS = "A_OperationalAcctgDocItemCube"


def forms(secret: str) -> list[bytes]:
    """The ways a password could stand in a text: plain, hex, quoted, base64 at any place of a pair."""
    raw = secret.encode()
    coded = [base64.b64encode(b"x" * shift + raw)[skip:-4] for shift, skip in [(0, 0), (1, 2), (2, 3)]]
    return [raw, raw.hex().encode(), quote(secret).encode(), *coded]


def holds(text: bytes, secret: str) -> bool:
    return any(form in text for form in forms(secret))


@dataclass
class Scene:
    """Syncs that go well and that fail in every way, and all that was shown and kept of them."""

    installation: Installation
    erp: Erp
    wrong: str = field(default_factory=lambda: f"canary-{secrets.token_hex(12)}")
    shown: list[str] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)
    processes: list[str] = field(default_factory=list)

    @property
    def canaries(self) -> list[str]:
        """The password that is right and one that is wrong."""
        return [self.erp.password, self.wrong]

    def play(self) -> None:
        """Signs in with both passwords, and lets every kind of answer come back."""
        hub = self.installation.hub
        self.shown.append(repr(hub.sync(KEY)))
        for kind in (
            "login_page",
            "truncated_page",
            "foreign_next",
            "forbidden_atom",
            "data_not_found",
            "nan_amount",
        ):
            self.erp.control("misbehave", {"kind": kind, "set": ITEMS, "times": 1_000})
            self.tried()
            self.erp.well()
        self.installation.change(KEY, base_url="https://erp.nowhere.invalid:44300")
        self.tried()
        self.installation.change(KEY, base_url=self.erp.url)
        self.use(self.wrong)
        self.tried()
        self.type("sync", KEY, "--json")
        self.use(self.erp.password)
        self.shown.append(repr(hub.sync(KEY)))
        self.type("sync", KEY, "--sweep", "--json")
        self.type("connectors", "show", KEY, "--json")
        self.shown += [
            repr(hub.describe(KEY)),
            repr(hub.overview()),
            repr(hub.tie_out(KEY)),
            repr(hub.rejects()),
        ]

    def use(self, password: str) -> None:
        self.installation.hub.replace_credential(KEY, NewCredential(self.erp.user, Secret(password)))

    def tried(self) -> None:
        """A sync of everything; the error's whole text, with the errors behind it."""
        try:
            self.shown.append(repr(self.installation.hub.sync(KEY, sweep=True)))
        except HubError as error:
            self.told(error)

    def told(self, error: BaseException) -> None:
        self.shown += [*traceback.format_exception(error), repr(error), repr(error.args)]

    def type(self, *arguments: str) -> None:
        """A command in a process of its own, whose place in the process list is looked at while it runs."""
        with self.installation.started(*arguments) as process:
            seen = psutil.Process(process.pid)
            while not (line := seen.cmdline()) and process.poll() is None:
                time.sleep(0.01)  # it is just about to begin
            self.processes += [
                *line,
                *(f"{name}={value}" for name, value in seen.environ().items()),
            ]
            self.printed += process.communicate(timeout=120)

    def dumped(self) -> bytes:
        """Every column of every table, as its owner would copy it; bytes are printed in hex."""
        database = self.installation.database
        copied = bytearray()
        with psycopg.connect(database.postgres.url(SUPERUSER, database.name)) as connection:
            tables = connection.execute(
                "select table_schema, table_name from information_schema.tables where table_type = 'BASE TABLE'"
                " and table_schema in ('encours', 'identity', 'receivables', 'public')"
            ).fetchall()
            for schema, table in tables:
                query = sql.SQL("copy (select * from {}) to stdout").format(sql.Identifier(schema, table))
                with connection.cursor() as cursor, cursor.copy(query) as copy:
                    for block in copy:
                        copied += block
        return bytes(copied)

    def found(self, logged: str) -> set[str]:
        """The channels that hold one of the passwords."""
        home = Path(self.installation.environment["ENCOURS_HOME"])
        channels = {
            "log": logged.encode(),
            "exception": "\n".join(self.shown).encode(),
            "output": "\n".join(self.printed).encode(),
            "process list": "\n".join(self.processes).encode(),
            "database": self.dumped(),
            "file": b"".join(path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file()),
            "server log": self.installation.database.postgres.log.read_bytes(),
        }
        return {name for name, text in channels.items() if any(holds(text, c) for c in self.canaries)}


@pytest.fixture(scope="module")
def erp(start: Start) -> Erp:
    return start("--world", "example").tenants["example"]


@pytest.fixture(scope="module")
def installation(install: Install, erp: Erp) -> Installation:
    installed = install()
    installed.connect(erp, KEY, history_months=1)
    return installed


@pytest.fixture
def scene(installation: Installation, erp: Erp, caplog: pytest.LogCaptureFixture) -> Scene:
    caplog.set_level(logging.DEBUG)
    return Scene(installation, erp)


def leak_into_the_log(scene: Scene) -> None:
    logging.getLogger("encours").debug("signing in with %s", scene.wrong)


def leak_into_an_exception(scene: Scene) -> None:
    try:
        raise Misconfigured(f"the password {scene.wrong} is wrong")
    except HubError as error:
        scene.told(error)


def leak_into_the_output(scene: Scene) -> None:
    pair = base64.b64encode(f"COMM:{scene.wrong}".encode()).decode()
    scene.installation.hub.pause(KEY, f"refused: Basic {pair}")
    scene.type("connectors", "show", KEY, "--json")
    scene.installation.hub.resume(KEY)


def leak_into_the_process_list(scene: Scene) -> None:
    scene.type("sync", KEY, f"--password={scene.wrong}")


def leak_into_the_database(scene: Scene) -> None:
    scene.erp.control(
        "misbehave",
        {"kind": "value", "set": ITEMS, "property": "DebitCreditCode", "value": scene.wrong, "times": 1_000},
    )
    assert scene.installation.hub.sync(KEY, sweep=True).state == "held"
    scene.erp.well()


def leak_into_a_file(scene: Scene) -> None:
    (Path(scene.installation.environment["ENCOURS_HOME"]) / "notes").write_text(quote(scene.wrong))


def leak_into_the_servers_log(scene: Scene) -> None:
    with scene.installation.hub.app() as connection, pytest.raises(psycopg.errors.UndefinedTable):
        connection.execute(sql.SQL("select {} from nowhere").format(scene.wrong))


def leak_into_our_own_output(scene: Scene) -> None:
    sys.stderr.write(scene.wrong.encode().hex())


LEAKS: dict[str, tuple[set[str], Callable[[Scene], None]]] = {
    "log": ({"log"}, leak_into_the_log),
    "exception": ({"exception"}, leak_into_an_exception),
    "output": ({"output"}, leak_into_the_output),
    "our own output": ({"output"}, leak_into_our_own_output),
    "process list": ({"process list"}, leak_into_the_process_list),
    "database": ({"database"}, leak_into_the_database),
    "file": ({"file"}, leak_into_a_file),
    "server log": ({"server log"}, leak_into_the_servers_log),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_leak_on_purpose_is_found(
    leak: str, scene: Scene, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    channels, act = LEAKS[leak]
    act(scene)
    scene.printed += capfd.readouterr()
    assert scene.found(caplog.text) == channels


def test_passwords_are_nowhere(
    scene: Scene, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    scene.play()
    text = "\n".join(scene.shown)
    for said in (
        "401",
        "403",
        "a web page instead of data",
        "elsewhere.example",
        "is not known",
        "set aside",
        "equal",
    ):
        assert said in text, "there was something to search"
    assert len(scene.printed) == 6
    scene.printed += capfd.readouterr()
    assert "(401)" in "".join(scene.printed)
    assert scene.erp.user in "".join(scene.printed)
    assert scene.found(caplog.text) == set()
    assert scene.erp.user.encode() in scene.dumped()
