"""Refresh tokens: rotation, grace, reuse and ends, for each profile; counted in the provider's own log."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.sandbox.idp_client import REDIRECT, Provider, digest, renewal, two_free_ports

if TYPE_CHECKING:
    from tests.sandbox.idps import Idps


pytestmark = pytest.mark.long


def refreshes(idp: Provider) -> list[dict[str, Any]]:
    return [entry for entry in idp.log() if entry["grant"] == "refresh_token"]


def test_each_refresh_spends_the_token_and_gives_the_next(idps: Idps) -> None:
    idp = idps.like("--profile", "strict")
    first = idp.consent()
    second = idp.token(renewal(first["refresh_token"]))
    third = idp.token(renewal(second["refresh_token"]))
    assert len({told["refresh_token"] for told in (first, second, third)}) == 3
    assert idp.active(first["access_token"])["active"]
    assert [(entry["outcome"], entry["refresh"], entry["issued_refresh"]) for entry in refreshes(idp)] == [
        ("issued", digest(first["refresh_token"]), digest(second["refresh_token"])),
        ("issued", digest(second["refresh_token"]), digest(third["refresh_token"])),
    ]


def test_a_spent_token_ends_its_family(idps: Idps) -> None:
    """RFC 9700, 4.14.2."""
    idp = idps.like("--profile", "strict")
    other = idp.consent(user="bruno")
    first = idp.consent()
    second = idp.token(renewal(first["refresh_token"]))
    assert idp.error(renewal(first["refresh_token"])) == "invalid_grant"
    assert idp.error(renewal(second["refresh_token"])) == "invalid_grant"
    assert not idp.active(second["access_token"])["active"]
    assert idp.active(other["access_token"])["active"]
    idp.token(renewal(other["refresh_token"]))
    assert [entry.get("reason", "") for entry in refreshes(idp)] == ["", "reused", "reused", ""]


def test_a_spent_token_may_be_refused_only(idps: Idps) -> None:
    idp = idps.like("--profile", "forgiving")
    first = idp.consent()
    second = idp.token(renewal(first["refresh_token"]))
    assert idp.error(renewal(first["refresh_token"])) == "invalid_grant"
    idp.token(renewal(second["refresh_token"]))


def test_the_token_just_spent_has_a_grace(idps: Idps) -> None:
    idp = idps.like("--profile", "graceful")
    first = idp.consent()
    second = idp.token(renewal(first["refresh_token"]))
    idp.control("clock", {"forward": 28})
    again = idp.token(renewal(first["refresh_token"]))
    assert again["refresh_token"] != second["refresh_token"]
    assert [entry["grace"] for entry in refreshes(idp)] == [False, True]
    idp.token(renewal(second["refresh_token"]))
    idp.token(renewal(again["refresh_token"]))


def test_the_grace_ends(idps: Idps) -> None:
    idp = idps.like("--profile", "graceful")
    first = idp.consent()
    second = idp.token(renewal(first["refresh_token"]))
    idp.control("clock", {"forward": 30})
    assert idp.error(renewal(first["refresh_token"])) == "invalid_grant"
    assert idp.error(renewal(second["refresh_token"])) == "invalid_grant"


def test_only_the_generation_before_has_a_grace(idps: Idps) -> None:
    """Auth0: reuse interval."""
    idp = idps.like("--profile", "graceful")
    first = idp.consent()
    second = idp.token(renewal(first["refresh_token"]))
    third = idp.token(renewal(second["refresh_token"]))
    assert idp.error(renewal(first["refresh_token"])) == "invalid_grant"
    assert idp.error(renewal(third["refresh_token"])) == "invalid_grant"


def test_a_static_token_stays(idps: Idps) -> None:
    idp = idps.like("--profile", "static")
    first = idp.consent()
    for _ in range(3):
        told = idp.token(renewal(first["refresh_token"]))
        assert "refresh_token" not in told
        assert told["access_token"] != first["access_token"]


def test_a_second_authorisation_ends_the_first(idps: Idps) -> None:
    """nango.dev: the undocumented invalidation at Sage Intacct."""
    idp = idps.like("--profile", "intacct-like")
    mine = {"scope": "offline_access", "client_id": "encours-post"}
    secret = {"client_id": "encours-post", "client_secret": idp.clients["encours-post"]["secret"]}

    def consent(user: str) -> dict[str, Any]:
        return idp.token(idp.redeem(idp.code(user=user, **mine)) | secret, client="")

    first, other = consent("api_reader@globex"), consent("second_reader@globex")
    idp.token(renewal(first["refresh_token"]) | secret, client="")
    second = consent("api_reader@globex")
    assert idp.error(renewal(first["refresh_token"]) | secret, client="") == "invalid_grant"
    assert refreshes(idp)[-1]["reason"] == "superseded"
    for told in (second, other):
        idp.token(renewal(told["refresh_token"]) | secret, client="")


def test_client_credentials_may_name_a_user_and_be_renewed(idps: Idps) -> None:
    idp = idps.like("--profile", "intacct-like")
    assert urlsplit(idp.endpoints["token"]).path == "/ia/api/v1/oauth2/token"
    form = {
        "grant_type": "client_credentials",
        "client_id": "encours-post",
        "client_secret": idp.clients["encours-post"]["secret"],
    }
    assert idp.error(form, client="") == "invalid_request"
    assert idp.error(form | {"username": "nobody@globex"}, client="") == "invalid_grant"
    told = idp.token(form | {"username": "api_reader@globex"}, client="")
    assert told["expires_in"] == 43200
    assert told["access_token"].count(".") == 2
    again = idp.token(form | renewal(told["refresh_token"]), client="")
    assert "refresh_token" not in again


def test_a_refresh_token_may_need_a_scope(idps: Idps) -> None:
    idp = idps.like("--set", "refresh_needs=offline_access")
    assert "refresh_token" not in idp.consent(scope="openid")
    assert "refresh_token" in idp.consent(scope="openid offline_access")


def test_a_renewed_scope_is_narrower_or_the_same(idps: Idps) -> None:
    """RFC 6749, 6: an error spends nothing."""
    idp = idps.like()
    first = idp.consent(scope="openid offline_access")
    wider = renewal(first["refresh_token"], scope="openid API_BUSINESS_PARTNER_0001")
    assert idp.error(wider) == "invalid_scope"
    second = idp.token(renewal(first["refresh_token"], scope="openid"))
    assert second["scope"] == "openid"
    assert idp.token(renewal(second["refresh_token"]))["scope"] == "openid offline_access"


def test_a_refresh_token_is_good_for_its_client_only(idps: Idps) -> None:
    idp = idps.like()
    first = idp.consent()
    stolen = renewal(first["refresh_token"], client_id="encours-public")
    assert idp.error(stolen, client="") == "invalid_grant"
    idp.token(renewal(first["refresh_token"]))


def test_an_unused_refresh_token_ends(idps: Idps) -> None:
    idp = idps.like("--set", "refresh_idle_seconds=100")
    told = idp.consent()
    for _ in range(3):
        idp.control("clock", {"forward": 90})
        told = idp.token(renewal(told["refresh_token"]))
    idp.control("clock", {"forward": 100})
    assert idp.error(renewal(told["refresh_token"])) == "invalid_grant"
    assert refreshes(idp)[-1]["reason"] == "idle"


def test_a_consent_ends(idps: Idps) -> None:
    idp = idps.like("--set", "refresh_seconds=100")
    told = idp.consent()
    idp.control("clock", {"forward": 90})
    told = idp.token(renewal(told["refresh_token"]))
    idp.control("clock", {"forward": 10})
    assert idp.error(renewal(told["refresh_token"])) == "invalid_grant"


def test_an_administrator_ends_a_family(start_idp: Idps) -> None:
    idp = start_idp()
    anna, bruno = idp.consent(), idp.consent(user="bruno")
    assert len(idp.control("end", {"subject": "anna"})["ended"]) == 1
    assert idp.error(renewal(anna["refresh_token"])) == "invalid_grant"
    assert not idp.active(anna["access_token"])["active"]
    idp.token(renewal(bruno["refresh_token"]))


def test_lifetimes_can_be_changed_while_it_runs(start_idp: Idps) -> None:
    idp = start_idp("--set", "access_seconds=60")
    told = idp.consent()
    assert told["expires_in"] == 60
    assert idp.control("profile", {"access_seconds": 5})["access_seconds"] == 5
    renewed = idp.token(renewal(told["refresh_token"]))
    assert renewed["expires_in"] == 5
    idp.control("clock", {"forward": 5})
    assert not idp.active(renewed["access_token"])["active"]
    assert idp.active(told["access_token"])["active"]


def test_of_many_at_once_one_wins(idps: Idps) -> None:
    idp = idps.like("--profile", "forgiving")
    token = idp.consent()["refresh_token"]
    found: list[int] = []

    def renew() -> None:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.post(idp.endpoints["token"], data=renewal(token), auth=idp.basic(), timeout=30)
            found.append(answer.status_code)

    threads = [threading.Thread(target=renew) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [200] + [400] * 49
    assert [entry["outcome"] for entry in refreshes(idp)].count("issued") == 1
    assert {entry["refresh"] for entry in refreshes(idp)} == {digest(token)}


def test_a_provider_that_starts_again_goes_on(start_idp: Idps) -> None:
    port = str(two_free_ports())
    idp = start_idp("--port", port)
    first = idp.consent()
    second = idp.token(renewal(first["refresh_token"]))
    process, _ = start_idp.running[-1]
    process.kill()
    process.wait()
    again = start_idp("--port", port, home=idp.home)
    assert again.issuer == idp.issuer
    assert again.active(second["access_token"])["active"]
    third = again.token(renewal(second["refresh_token"]))
    assert again.error(renewal(first["refresh_token"])) == "invalid_grant"
    assert not again.active(third["access_token"])["active"]
    assert len(refreshes(again)) == 3


def test_what_it_keeps_holds_no_token(start_idp: Idps) -> None:
    idp = start_idp()
    first = idp.consent()
    idp.token(renewal(first["refresh_token"]))
    idp.post("token", renewal(first["refresh_token"], client_secret="a canary"))
    idp.post("token", {"grant_type": "a canary"}, client="")
    idp.post("token", {"grant_type": "client_credentials", "client_id": "a canary"}, client="")
    idp.session.get(f"{idp.issuer}/a canary?code=a canary", timeout=30)
    log = (idp.home / "idp.jsonl").read_text(encoding="utf-8")
    kept = (idp.home / "idp.json").read_text(encoding="utf-8")
    secrets = [first["access_token"], first["refresh_token"], first["id_token"], idp.users["anna"]]
    for secret in secrets:
        assert secret not in log
        assert secret not in kept
    for client in idp.clients.values():
        assert not client["secret"] or client["secret"] not in log
    assert "canary" not in log
    assert digest(first["refresh_token"]) in log
    assert [json.loads(line) for line in log.splitlines()] == idp.control("log")["requests"]
    assert REDIRECT not in log
    assert (idp.home / "idp.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--profile", "flat"], "strict"),
        (["--set", "rotation=true"], "rotation"),
        (["--set", "access_seconds=0"], "access_seconds"),
        (["--set", 'quirks=["loud"]'], "loud"),
    ],
)
def test_a_wrong_argument_is_refused_with_words(tmp_path: Path, arguments: list[str], words: str) -> None:
    command = [sys.executable, "-m", "sandbox", "idp", "--home", str(tmp_path), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert words in ended.stderr
