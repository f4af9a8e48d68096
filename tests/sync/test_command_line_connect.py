"""A person connects a service from the command line: allowed, refused, run out, interrupted, brought along."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from identity.secret import Secret
from tests.sandbox.idp_client import DEVICE_CODE
from tests.sandbox.idps import Idps
from tests.sync.test_sync_tokens import SCOPES

if TYPE_CHECKING:
    from tests.sandbox.idp_client import Provider
    from tests.sync.conftest import Erp, Install, Installation, Start

pytestmark = pytest.mark.long

KEY = "acme-s4"
CLIENT = "encours-basic"
PERSON = "COMM_ACME"


@pytest.fixture(scope="module")
def idp(idps: Idps) -> Provider:
    return idps("--profile", "strict", "--set", "device_interval=1")


@pytest.fixture(scope="module")
def erp(start: Start, idp: Provider) -> Erp:
    return start("--tenant", "acme", "--items", "120", "--idp", idp.control_url).tenants["acme"]


@pytest.fixture(scope="module")
def installation(install: Install) -> Installation:
    return install()


@pytest.fixture(scope="module")
def client(idp: Provider, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The options of a client that needs a person."""
    file = tmp_path_factory.mktemp("secret") / "client"
    file.write_text(idp.clients[CLIENT]["secret"])
    place = ["--issuer", idp.issuer, "--scope", " ".join(SCOPES), "--secret-file", str(file)]
    return ["--client-id", CLIENT, "--grant", "refresh_token", *place]


@pytest.fixture(scope="module")
def added(installation: Installation, erp: Erp, client: list[str]) -> str:
    place = ["--base-url", erp.url, "--company-codes", ",".join(erp.company_codes), "--history-months", "1"]
    code, out, complaint = installation.command(
        "connectors", "add", "sap_s4hana", KEY, "--tenant", "acme", *place, *client
    )
    assert code == 0, complaint
    assert f"Have a person consent: encours connectors connect {KEY}" in out
    return KEY


@pytest.fixture
def fresh(installation: Installation, added: str, client: list[str], idp: Provider) -> str:
    """The connector before anybody has consented; the provider's log begins now."""
    code, out, complaint = installation.command("connectors", "credential", added, *client)
    assert code == 0, complaint
    assert f"Have a person consent: encours connectors connect {KEY}" in out
    idp.since = idp.control("log")["last"]
    return added


@contextmanager
def waiting(installation: Installation, idp: Provider) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command as it waits for a person, and the code that it shows."""
    with installation.started("connectors", "connect", KEY) as process:
        assert process.stdout is not None
        opened, complete = process.stdout.readline(), process.stdout.readline()
        address, _, code = opened.removeprefix("Open ").strip().partition(" and enter the code ")
        assert address == idp.endpoints["activate"], opened
        assert complete == f"or open {address}?user_code={code}\n"
        yield process, code


def decide(idp: Provider, code: str, decision: str) -> None:
    form = {"user_code": code, "username": PERSON, "password": idp.users[PERSON], "decision": decision}
    answer = idp.session.post(idp.endpoints["activate"], data=form, timeout=30)
    assert answer.status_code == 200, answer.text


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, complaint = process.communicate(timeout=60)
    return process.returncode, out, " ".join(complaint.split())


def polls(idp: Provider) -> list[str]:
    return [entry["outcome"] for entry in idp.log() if entry.get("grant") == DEVICE_CODE]


def listed(installation: Installation, *command: str) -> list[dict[str, Any]]:
    code, out, complaint = installation.command(*command, "--json")
    assert code == 0, complaint
    found: list[dict[str, Any]] = json.loads(out)
    return found


def nothing_is_stored(installation: Installation) -> bool:
    (held,) = listed(installation, "tokens", "list")
    return bool(held["condition"] == "no token yet")


def test_what_a_person_allows_is_synced_and_published(
    installation: Installation, fresh: str, idp: Provider, erp: Erp
) -> None:
    assert installation.command("sync", fresh)[0] == 1, "nobody has consented"
    before, already = erp.last_request(), len(listed(installation, "audit", "list", "--event", "issued"))
    with waiting(installation, idp) as (process, code):
        decide(idp, code, "allow")
        returned, out, complaint = ended(process)
    assert (returned, out) == (
        0,
        f"{fresh} is connected. Check it: encours connectors test {fresh}\n",
    ), complaint
    assert "Waiting until it is allowed, at most 10 min. Ctrl-C ends it." in complaint
    assert polls(idp)[-1] == "issued"
    code_of_test, out, _ = installation.command("connectors", "test", fresh)
    assert code_of_test == 0, out
    code_of_sync, out, complaint = installation.command("sync", fresh)
    assert code_of_sync == 0, complaint
    assert ", equal (run " in out
    assert {request["user"] for request in erp.requests_since(before)} == {PERSON}
    assert [call["outcome"] for call in idp.log()].count("issued") == 1
    (issued,) = listed(installation, "audit", "list", "--event", "issued")[already:]
    (created,) = listed(installation, "audit", "list", "--event", "connected")
    assert issued["entry"]["by"] == created["entry"]["by"], "the person who typed"


def test_a_consent_that_has_ended_is_given_again(
    installation: Installation, fresh: str, idp: Provider
) -> None:
    hub = installation.hub
    hub.connect(fresh, Secret("withdrawn"))
    assert installation.command("sync", fresh)[0] == 1
    assert [one.state for one in hub.overview()] == ["needs_consent"]
    hub.pause(fresh, "nobody may read")
    with waiting(installation, idp) as (process, code):
        decide(idp, code, "allow")
        returned, out, complaint = ended(process)
    assert returned == 0, complaint
    assert f"{fresh} is paused. Start it again: encours connectors resume {fresh}" in out
    hub.resume(fresh)
    assert "needs_consent" not in [one.state for one in hub.overview()]
    assert installation.command("connectors", "test", fresh)[0] == 0


def test_a_person_refuses(installation: Installation, fresh: str, idp: Provider) -> None:
    with waiting(installation, idp) as (process, code):
        decide(idp, code, "deny")
        returned, _, complaint = ended(process)
    assert returned == 1
    assert f"{fresh}: The person refused. Nothing was stored; begin again" in complaint
    assert polls(idp)[-1] == "access_denied"
    assert nothing_is_stored(installation)


def test_a_code_runs_out(installation: Installation, fresh: str, idp: Provider) -> None:
    with waiting(installation, idp) as (process, _):
        idp.control("clock", {"forward": 600})
        returned, _, complaint = ended(process)
    assert returned == 1
    assert f"{fresh}: The code ran out before anybody had allowed it." in complaint
    assert polls(idp)[-1] == "expired_token"
    assert nothing_is_stored(installation)


def test_waiting_ends_when_it_is_interrupted(installation: Installation, fresh: str, idp: Provider) -> None:
    with waiting(installation, idp) as (process, code):
        assert process.stderr is not None
        process.stderr.readline()
        process.send_signal(signal.SIGINT)
        returned, out, complaint = ended(process)
    assert (returned, out) == (130, "")
    assert complaint == f"Interrupted. Begin again: encours connectors connect {fresh}"
    decide(idp, code, "allow")
    assert "issued" not in polls(idp), "nobody asks any more"
    assert nothing_is_stored(installation)


@pytest.mark.parametrize("way", ["file", "stdin"])
def test_a_refresh_token_is_brought_along(
    installation: Installation, fresh: str, idp: Provider, tmp_path: Path, way: str
) -> None:
    refresh = idp.consent(user=PERSON, scope=" ".join(SCOPES))["refresh_token"]
    file = tmp_path / "token"
    file.write_text(refresh + "\n")
    given = ["--secret-file", str(file)] if way == "file" else ["--password-stdin"]
    command = ["connectors", "connect", fresh, "--refresh-token", *given]
    with installation.started(*command, stdin=subprocess.PIPE) as process:
        out, complaint = process.communicate(refresh + "\n", timeout=60)
    assert process.returncode == 0, complaint
    assert refresh not in out + complaint
    assert polls(idp) == []
    assert installation.command("connectors", "test", fresh)[0] == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--refresh-token"], "No terminal to ask for the refresh token. Pipe it in with --password-stdin."),
        (["--secret-file", "/nowhere"], "are ways to give a --refresh-token"),
        (["--refresh-token", "--password-stdin"], "A refresh token has 1 to 16384 ASCII characters"),
    ],
)
def test_half_a_refresh_token_is_refused_in_words(
    installation: Installation, fresh: str, options: list[str], said: str
) -> None:
    code, _, complaint = installation.command("connectors", "connect", fresh, *options)
    assert code == 1
    assert said in " ".join(complaint.split())


def test_a_credential_of_another_grant_is_refused_in_words(
    installation: Installation, fresh: str, client: list[str], idp: Provider
) -> None:
    own = [option if option != "refresh_token" else "client_credentials" for option in client]
    assert installation.command("connectors", "credential", fresh, *own)[0] == 0
    code, _, complaint = installation.command("connectors", "connect", fresh)
    assert code == 1
    assert f"{fresh}: Its credential (grant client_credentials) needs no consent" in " ".join(
        complaint.split()
    )
    assert idp.log("device") == []


def test_the_help_tells_what_happens(installation: Installation) -> None:
    code, out, _ = installation.command("connectors", "connect", "--help")
    assert code == 0
    for word in ("--refresh-token", "--secret-file", "--password-stdin", "a code"):
        assert word in out
