"""OAuth clients at the command line: typed, tested, shown, and what their tokens have read; never a secret."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from joserfc.jwk import ECKey

from tests.sandbox.idps import Idps
from tests.sync.test_sync_tokens import SCOPES

if TYPE_CHECKING:
    from tests.sandbox.idp_client import Provider
    from tests.sync.conftest import Erp, Install, Installation, Start

pytestmark = pytest.mark.long

KEY = "acme-s4"
CLIENT = "encours-basic"
PARTNER = "https://partner.example"


@pytest.fixture(scope="module")
def idp(idps: Idps) -> Provider:
    return idps("--profile", "sap-like")


@pytest.fixture(scope="module")
def erp(start: Start, idp: Provider) -> Erp:
    return start("--tenant", "acme", "--items", "120", "--idp", idp.control_url).tenants["acme"]


@pytest.fixture(scope="module")
def installation(install: Install) -> Installation:
    return install()


@pytest.fixture(scope="module")
def secret_file(tmp_path_factory: pytest.TempPathFactory, idp: Provider) -> Path:
    file = tmp_path_factory.mktemp("secret") / "client"
    file.write_text(idp.clients[CLIENT]["secret"] + "\n")
    return file


def client(idp: Provider, *more: str, scopes: str = " ".join(SCOPES)) -> list[str]:
    """The options of a client."""
    url = idp.endpoints["token"]
    return ["--client-id", CLIENT, "--provider", "sap", "--token-url", url, "--scope", scopes, *more]


@pytest.fixture(scope="module")
def added(installation: Installation, erp: Erp, idp: Provider, secret_file: Path) -> str:
    """A connector that was added by the command line, the client's secret in a file."""
    place = ["--base-url", erp.url, "--company-codes", ",".join(erp.company_codes)]
    code, _, complaint = installation.command(
        *("connectors", "add", "sap_s4hana", KEY, "--tenant", "acme", *place, "--history-months", "1"),
        *client(idp, "--secret-file", str(secret_file)),
    )
    assert code == 0, complaint
    return KEY


@pytest.fixture
def signed_in(installation: Installation, added: str, idp: Provider, secret_file: Path) -> Iterator[str]:
    """The connector, whose credential a test may replace: afterwards it is the first one again."""
    yield added
    again = client(idp, "--secret-file", str(secret_file))
    assert installation.command("connectors", "credential", added, *again)[0] == 0


def listed(installation: Installation, *command: str) -> list[dict[str, Any]]:
    code, out, complaint = installation.command(*command, "--json")
    assert code == 0, complaint
    found: list[dict[str, Any]] = json.loads(out)
    return found


def steps(installation: Installation) -> tuple[int, list[dict[str, Any]]]:
    """What `connectors test` says of each step, and its exit code."""
    code, out, _ = installation.command("connectors", "test", KEY, "--json")
    return code, json.loads(out)


def revoked(installation: Installation, key: str, reason: str) -> tuple[int, str, str]:
    return installation.command("tokens", "revoke", key, "--reason", reason, "--yes")


def test_a_client_is_tested_shown_and_accounted_for(installation: Installation, added: str) -> None:
    code, out, complaint = installation.command("connectors", "test", added)
    assert code == 0, out + complaint
    assert out.startswith("ok     Credentials ("), out
    assert "The provider has given a token, which ends at " in out

    code, out, complaint = installation.command("sync", added)
    assert code == 0, complaint
    assert ", equal (run 1" in out

    code, out, _ = installation.command("connectors", "show", added)
    words = " ".join(out.split())
    for shown in (
        f"oauth {CLIENT}, stored",
        "grant client_credentials",
        "token endpoint http://127",
        "good, until",
    ):
        assert shown in words, words

    (held,) = listed(installation, "tokens", "list")
    assert (held["service"], held["subject"], held["condition"]) == ("sap", CLIENT, "good")
    assert (held["connectors"], held["last_run"]) == ([added], f"{added} run 1")
    assert set(held["scopes_granted"]) == set(SCOPES)

    (finding,) = listed(installation, "tokens", "findings")
    assert (finding["connectors"], finding["finding"]) == ([added], "ownerless")
    code, out, _ = installation.command("tokens", "assign", added, "--owner", "Olga", "--purpose", "items")
    assert (code, out) == (0, f"{added}: noted, and told in the audit.\n")
    assert listed(installation, "tokens", "findings") == []
    (held,) = listed(installation, "tokens", "list")
    assert (held["owner"], held["purpose"]) == ("Olga", "items")
    assert installation.command("tokens", "assign", added)[0] == 1

    (use,) = listed(installation, "tokens", "uses", added, "--run", "1")
    assert use["token_id"] == held["token_id"]
    assert listed(installation, "tokens", "uses", "--token", held["token_id"]) == [use]
    code, out, _ = installation.command("runs", "show", added, "1")
    assert f"{use['uses']:,} requests signed by token {held['token_id']}" in " ".join(out.split())
    told = listed(installation, "audit", "list", "--token", held["token_id"])
    assert [one["entry"]["event"] for one in told] == ["issued", "used", "used"]  # the test's and the run's
    assert told[-1]["entry"]["facts"]["uses"] == use["uses"]


def test_an_export_names_the_credential_and_tells_no_secret(
    installation: Installation, added: str, idp: Provider
) -> None:
    code, out, _ = installation.command("connectors", "export")
    assert code == 0
    assert 'credential = "' in out
    assert idp.clients[CLIENT]["secret"] not in out
    _, out, _ = installation.command("connectors", "show", added, "--json")
    assert idp.clients[CLIENT]["secret"] not in out


def test_what_is_wrong_with_a_client_is_the_first_step_that_fails(
    installation: Installation, signed_in: str, idp: Provider, tmp_path: Path, secret_file: Path
) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text(secrets.token_urlsafe(12))
    cases = (
        (client(idp, "--secret-file", str(wrong)), "invalid_client"),
        (client(idp, "--secret-file", str(secret_file), scopes="NO_SUCH_SCOPE"), "scope"),
    )
    for options, said in cases:
        assert installation.command("connectors", "credential", signed_in, *options)[0] == 0
        code, (step,) = steps(installation)
        assert (code, step["name"], step["ok"]) == (1, "Credentials", False)
        assert said in step["sentence"]
    right = client(idp, "--secret-file", str(secret_file))
    assert installation.command("connectors", "credential", signed_in, *right)[0] == 0
    idp.control("outage", {"kind": "refused"})
    code, (step,) = steps(installation)
    idp.control("outage", {})
    assert (code, step["name"], step["ok"]) == (1, "Credentials", False)
    assert "127.0.0.1" in step["sentence"], "who is not reached"
    assert steps(installation)[0] == 0


def test_a_secret_is_piped_in(installation: Installation, signed_in: str, idp: Provider) -> None:
    command = ["connectors", "credential", signed_in, *client(idp, "--password-stdin")]
    with installation.started(*command, stdin=subprocess.PIPE) as process:
        out, complaint = process.communicate(idp.clients[CLIENT]["secret"] + "\n", timeout=60)
    assert process.returncode == 0, complaint
    assert f"signs in as {CLIENT} from now on" in " ".join(out.split())
    assert steps(installation)[0] == 0


def test_a_partner_vouches_for_a_user(
    installation: Installation, signed_in: str, idp: Provider, erp: Erp, tmp_path: Path
) -> None:
    key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"})
    idp.control("issuers", {"issuer": PARTNER, "jwks": {"keys": [key.as_dict(private=False)]}})
    file = tmp_path / "partner.pem"
    file.write_bytes(key.as_pem(private=True))
    secret_file = tmp_path / "client"
    secret_file.write_text(idp.clients[CLIENT]["secret"])
    vouching = ["--grant", "jwt_bearer", "--key-file", str(file), "--assertion-issuer", PARTNER]
    options = client(idp, *vouching, "--assertion-subject", "COMM_ACME", "--secret-file", str(secret_file))
    code, _, complaint = installation.command("connectors", "credential", signed_in, *options)
    assert code == 0, complaint
    before = erp.last_request()
    code, said = steps(installation)
    assert code == 0, said
    assert {request["user"] for request in erp.requests_since(before)} == {"COMM_ACME"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--user", "a", "--client-id", "b"], "Leave out --user or --client-id"),
        ([], "Say who signs in: --user or --client-id."),
        (["--scope", "A"], "An OAuth client has an id: --client-id."),
        (["--client-id", "b", "--grant", "password"], "--grant is one of client_credentials, jwt_bearer, r"),
        (["--client-id", "b", "--client-auth", "private_key_jwt"], "--key-file"),
        (["--client-id", "b", "--client-auth", "telepathy"], "is one of"),
        (["--client-id", "b", "--secret-file", "/nowhere"], "/nowhere cannot be read: FileNotFoundError."),
        (["--client-id", "b"], "No terminal to ask for the client secret. Pipe it in with --password-stdin."),
    ],
)
def test_half_a_credential_is_refused_in_words(
    installation: Installation, added: str, options: list[str], said: str
) -> None:
    code, _, complaint = installation.command("connectors", "credential", added, *options)
    assert code == 1
    assert said in " ".join(complaint.split())


def test_the_help_tells_of_clients(installation: Installation) -> None:
    for command in (["connectors", "add", "sap_s4hana"], ["connectors", "credential"]):
        code, out, _ = installation.command(*command, "--help")
        assert code == 0
        assert "--client-id" in out
    _, out, _ = installation.command("connectors", "add", "sage_intacct", "--help")
    assert "--client-id" not in out
    assert "--sender-id" in out


def test_a_token_is_revoked_and_what_signs_with_it_paused(
    installation: Installation, signed_in: str, idp: Provider, erp: Erp
) -> None:
    hub = installation.hub
    first = hub.registry.connector(signed_in)
    hub.add_connector(
        system="sap_s4hana",
        key="second",
        tenant="acme",
        settings=dict(first.settings),
        credential=first.credential_id,
    )
    assert steps(installation)[0] == 0
    (held,) = listed(installation, "tokens", "list")
    code, out, complaint = installation.command("tokens", "revoke", signed_in, "--reason", "it leaked")
    assert (code, "To go on without being asked: --yes" in complaint) == (1, True)
    head, *stale = out.splitlines()
    assert (idp.log("revoke"), head.split()[:2]) == ([], ["GOES", "STALE"])
    first_column = {line.partition(" ")[0] for line in stale} - {""}  # empty beside a second currency
    assert first_column == {signed_in, "second"}
    code, out, complaint = revoked(installation, signed_in, "it leaked")
    assert code == 0, complaint
    assert "The token is revoked at its provider and forgotten here." in out
    (call,) = idp.log("revoke")
    assert (call["outcome"], call["client_id"]) == ("revoked", CLIENT)
    assert {one.key: one.state for one in hub.registry.connectors()} == {
        signed_in: "paused",
        "second": "paused",
    }
    (told,) = listed(installation, "audit", "list", "--event", "revoked")
    facts = told["entry"]["facts"]
    assert (facts["token"], facts["at_provider"], facts["reason"]) == (
        held["token_id"],
        "revoked",
        "it leaked",
    )
    assert listed(installation, "tokens", "list")[0]["condition"] == "no token yet"
    code, out, _ = revoked(installation, signed_in, "once more")
    assert (code, out.endswith("\nThere was no token.\n")) == (0, True)
    hub.resume(signed_in)
    hub.remove("second")


def test_what_has_no_credential_has_no_token_to_revoke(installation: Installation, signed_in: str) -> None:
    hub = installation.hub
    settings = dict(hub.registry.connector(signed_in).settings)
    hub.add_connector(system="sap_s4hana", key="bare", tenant="acme", settings=settings, credential=None)
    for command in (("revoke", "--reason", "gone", "--yes"), ("assign", "--owner", "Olga")):
        code, out, complaint = installation.command("tokens", command[0], "bare", *command[1:])
        assert (code, out, "bare has no credential" in complaint) == (1, "", True)
    hub.remove("bare")


def test_a_token_that_cannot_be_revoked_now_is_not_forgotten(
    installation: Installation, signed_in: str, idp: Provider
) -> None:
    assert steps(installation)[0] == 0
    idp.control("outage", {"kind": "refused"})
    code, _, complaint = revoked(installation, signed_in, "it leaked")
    idp.control("outage", {})
    assert code == 75, complaint
    (held,) = listed(installation, "tokens", "list")
    assert held["condition"] == "good"
    assert installation.hub.registry.connector(signed_in).state == "paused"
    installation.hub.resume(signed_in)
