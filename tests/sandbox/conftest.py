"""Sandbox processes for the tests of the sandbox, and a client that speaks plain OData to one tenant."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.sandbox.idps import Idps
from tests.sandbox.intacct_client import Intacct

CUBE = "API_OPLACCTGDOCITEMCUBE_SRV/A_OperationalAcctgDocItemCube"
LINES = "API_GLACCOUNTLINEITEM/GLAccountLineItem"
TODAY = date(2026, 11, 24)


@dataclass
class Erp:
    """One tenant of a running sandbox."""

    system: str
    url: str
    user: str
    password: str
    company_codes: list[str]
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.session.trust_env = False
        self.session.auth = (self.user, self.password)
        self.session.headers["Accept"] = "application/json"

    def get(self, path: str, **options: Any) -> requests.Response:
        params = {f"${name}": value for name, value in options.items()}
        return self.session.get(f"{self.url}/sap/opu/odata/sap/{path}", params=params, timeout=30)

    def rows(self, path: str, **options: Any) -> list[dict[str, Any]]:
        """Every row of a set, following links."""
        answer = self.get(path, **options)
        found: list[dict[str, Any]] = []
        while True:
            assert answer.status_code == 200, answer.text
            payload = answer.json()["d"]
            found += payload["results"]
            if "__next" not in payload:
                return found
            answer = self.session.get(payload["__next"], timeout=30)

    def trial_balance(self, last_day: date, select: str, **options: Any) -> list[dict[str, Any]]:
        path = (
            f"C_TRIALBALANCE_CDS/C_TRIALBALANCE(P_FromPostingDate=datetime'{last_day:%Y-%m}-01T00:00:00',"
            f"P_ToPostingDate=datetime'{last_day}T00:00:00')/Results"
        )
        return self.rows(path, select=select, **options)

    def control(self, address: str, wish: dict[str, Any] | None = None, **query: Any) -> Any:
        url = f"{self.url}/_sandbox/{address}"
        if wish is None:
            answer = requests.get(url, params=query, timeout=30)
        else:
            answer = requests.post(url, json=wish, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()


@dataclass
class Sandbox:
    """A running sandbox process."""

    process: subprocess.Popen[str]
    home: Path
    tenants: dict[str, Erp]
    companies: dict[str, Intacct]


Start = Callable[..., Sandbox]


def _start(home: Path, *arguments: str) -> Sandbox:
    command = [sys.executable, "-m", "sandbox", "start", "--home", str(home), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, f"the sandbox ended with {process.wait()}"
    tenants, companies = {}, {}
    for name, place in json.loads(line)["tenants"].items():
        if place["system"] == "sap_s4hana":
            tenants[name] = Erp(**place)
        else:
            companies[name] = Intacct(control_url=place.pop("control"), **place)
    return Sandbox(process, home, tenants, companies)


def _stop(sandbox: Sandbox) -> None:
    clients = [erp.session for erp in sandbox.tenants.values()]
    clients += [company.session for company in sandbox.companies.values()]
    for session in clients:
        session.close()
    sandbox.process.terminate()
    sandbox.process.wait(timeout=20)
    if sandbox.process.stdout is not None:
        sandbox.process.stdout.close()


@pytest.fixture
def start_idp(tmp_path: Path) -> Iterator[Idps]:
    """Start identity providers that end with the test."""
    started = Idps(tmp_path)
    yield started
    started.stop()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reach the sandbox directly, whatever proxy the machine uses."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start sandboxes that end with the test."""
    started: list[Sandbox] = []

    def starter(*arguments: str) -> Sandbox:
        started.append(_start(tmp_path / f"sandbox-{len(started)}", *arguments))
        return started[-1]

    yield starter
    for sandbox in started:
        _stop(sandbox)


@pytest.fixture(scope="module")
def shared_start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start sandboxes that end with the module."""
    started: list[Sandbox] = []

    def starter(*arguments: str) -> Sandbox:
        started.append(_start(tmp_path_factory.mktemp("sandbox"), *arguments))
        return started[-1]

    yield starter
    for sandbox in started:
        _stop(sandbox)


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """All tenants, small and never changed: tests that post or switch faults start their own."""
    sandbox = _start(tmp_path_factory.mktemp("sandbox"), "--items", "800", "--today", TODAY.isoformat())
    yield sandbox
    _stop(sandbox)


@pytest.fixture
def globex(seeded: Sandbox) -> Intacct:
    """The Intacct company that is never changed, with a session of the top level."""
    company = seeded.companies["globex"]
    company.sign_in()
    return company


@pytest.fixture(params=["acme", "nippon"])
def erp(request: pytest.FixtureRequest, seeded: Sandbox) -> Erp:
    """Each tenant of the sandbox that is never changed."""
    return seeded.tenants[request.param]
