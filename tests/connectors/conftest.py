"""What the connectors' tests share: simulated SAP systems as processes, and small HTTP servers that misbehave."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import pytest
import requests
from requests.auth import HTTPBasicAuth

from connectors.kit.http import Session, Sign
from connectors.kit.stream import Access, Slice, System
from connectors.systems import SYSTEMS
from connectors.systems.sap_s4hana.settings import Settings
from receivables.errors import Unreadable
from receivables.records import Record

LOOPBACK = [ip_network("127.0.0.0/8")]
TODAY = date(2026, 11, 24)
SYSTEM = SYSTEMS["sap_s4hana"]

Kind = TypeVar("Kind")


@dataclass
class Erp:
    """One tenant of a running sandbox."""

    url: str
    user: str
    password: str
    company_codes: list[str]

    def control(self, address: str, wish: dict[str, Any] | None = None, **query: Any) -> Any:
        """What its control address answers (no part of the imitated system)."""
        url = f"{self.url}/_sandbox/{address}"
        answer = (
            requests.get(url, params=query, timeout=30)
            if wish is None
            else requests.post(url, json=wish, timeout=30)
        )
        assert answer.status_code == 200, answer.text
        return answer.json()


def now_on(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 10, tzinfo=UTC)


def session(url: str, auth: Sign | None = None, **options: Any) -> Session:
    """A session of the connector `acme-s4` that never really waits."""
    options = {"private_networks": LOOPBACK, "sleep": lambda _: None, "jitter": lambda: 0.0, **options}
    return Session(connector="acme-s4", origin=url, auth=auth, **options)


@contextmanager
def access_to(
    erp: Erp, *, day: date = TODAY, password: str | None = None, **settings: Any
) -> Iterator[Access]:
    """What the hub would lend for a run on this day."""
    made = Settings(**{"base_url": erp.url, "company_codes": erp.company_codes, **settings})
    with session(erp.url, HTTPBasicAuth(erp.user, password or erp.password)) as http:
        yield Access(session=http, settings=made, now=now_on(day), zone=ZoneInfo("UTC"), connector="acme-s4")


@dataclass
class Read:
    """What a run would have staged."""

    records: list[Record] = field(default_factory=list)
    unreadable: list[tuple[bytes, Unreadable]] = field(default_factory=list)
    rows: int = 0
    bookmarks: dict[str, str] = field(default_factory=dict)

    def of(self, kind: type[Kind]) -> list[Kind]:
        return [record for record in self.records if isinstance(record, kind)]


def read(access: Access, slices: Sequence[Slice], system: System = SYSTEM) -> Read:
    """Reads slices as the hub does, and adapts every row."""
    found = Read()
    adapters = {name: make(access) for name, make in system.adapters.items()}
    for slice_ in slices:
        ended = False
        for page in slice_.pages(access):
            assert not ended, f"{slice_.name} goes on after its end"
            adapted = adapters[slice_.adapter](page.rows)
            assert len(adapted.keys) + len({raw for raw, _ in adapted.unreadable}) == len(page.rows)
            found.records += adapted.records
            found.unreadable += adapted.unreadable
            found.rows += len(page.rows)
            ended = page.last
        assert ended, f"{slice_.name} did not end"
        if slice_.bookmark and slice_.reached:
            found.bookmarks[slice_.bookmark] = slice_.reached
    return found


Start = Callable[..., dict[str, Erp]]


@contextmanager
def _sandboxes(home: Callable[[], Path]) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> dict[str, Erp]:
        command = [sys.executable, "-m", "sandbox", "start", "--home", str(home()), *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"the sandbox ended with {process.wait()}"
        return {
            name: Erp(**place)
            for name, place in json.loads(line)["tenants"].items()
            if place.pop("system") == "sap_s4hana"
        }

    yield start
    for process in started:
        process.terminate()
        process.wait(timeout=20)
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts simulated SAP systems that end with the test."""
    with _sandboxes(lambda: tmp_path_factory.mktemp("sandbox")) as starter:
        yield starter


@pytest.fixture(scope="module")
def shared_start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts simulated SAP systems that end with the module."""
    with _sandboxes(lambda: tmp_path_factory.mktemp("sandbox")) as starter:
        yield starter


@dataclass
class Reply:
    """One answer of a server of the test."""

    body: bytes = b"{}"
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    declared: int | None = None  # Content-Length, if not the body's


Answers = Callable[[str, dict[str, str]], Reply]


@dataclass
class Server:
    """A real HTTP server whose answers the test computes; `asked` are the paths it was asked for."""

    url: str
    asked: list[tuple[str, dict[str, str]]]


@contextmanager
def serving(answers: Answers) -> Iterator[Server]:
    """Serves until the block ends."""
    asked: list[tuple[str, dict[str, str]]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked.append((self.path, headers))
            reply = answers(self.path, headers)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            declared = len(reply.body) if reply.declared is None else reply.declared
            self.send_header("Content-Length", str(declared))
            self.end_headers()
            self.wfile.write(reply.body)
            if declared != len(reply.body):
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield Server(f"http://127.0.0.1:{server.server_port}", asked)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
