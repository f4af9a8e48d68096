"""What the provider does wrong on command: each wrong answer, latency, outages, lost and held answers."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from tests.sandbox.idp_client import Form, Provider, back, digest, renewal, two_free_ports

if TYPE_CHECKING:
    from tests.sandbox.idps import Idps

OWN: Form = {"grant_type": "client_credentials"}
METADATA = "/.well-known/openid-configuration"


@pytest.fixture(scope="module")
def running(idps: Idps) -> Provider:
    return idps("--profile", "forgiving")


def order(idp: Provider, kind: str, **more: Any) -> None:
    idp.control("misbehave", {"kind": kind, **more})


def ask(idp: Provider, form: Form = OWN) -> requests.Response:
    return idp.session.post(
        idp.endpoints["token"], data=form, auth=idp.basic(), timeout=30, allow_redirects=False
    )


# Wrong answers of the token endpoint

JsonCheck = Callable[[dict[str, Any]], bool]
WRONG: dict[str, tuple[int, JsonCheck]] = {
    "token_type_missing": (200, lambda told: "token_type" not in told),
    "token_type_null": (200, lambda told: told["token_type"] is None),
    "token_type_wrong": (200, lambda told: told["token_type"] == "mac"),
    "token_type_lower_case": (200, lambda told: told["token_type"] == "bearer"),
    "access_token_missing": (200, lambda told: "access_token" not in told),
    "access_token_null": (200, lambda told: told["access_token"] is None),
    "access_token_number": (200, lambda told: told["access_token"] == 42),
    "access_token_empty": (200, lambda told: told["access_token"] == ""),
    "access_token_line_break": (200, lambda told: "\r\n" in told["access_token"]),
    "expires_in_negative": (200, lambda told: told["expires_in"] == -1),
    "expires_in_zero": (200, lambda told: told["expires_in"] == 0),
    "expires_in_text": (200, lambda told: told["expires_in"] == "3600"),
    "expires_in_words": (200, lambda told: told["expires_in"] == "soon"),
    "expires_in_boolean": (200, lambda told: told["expires_in"] is True),
    "expires_in_null": (200, lambda told: told["expires_in"] is None),
    "expires_in_fraction": (200, lambda told: told["expires_in"] == 3599.5),
    "expires_in_huge": (200, lambda told: told["expires_in"] == 10**30),
    "expires_in_nan": (200, lambda told: told["expires_in"] != told["expires_in"]),
    "expires_in_absent": (200, lambda told: "expires_in" not in told),
    "refresh_token_null": (200, lambda told: told["refresh_token"] is None),
    "refresh_token_empty": (200, lambda told: told["refresh_token"] == ""),
    "refresh_token_number": (200, lambda told: told["refresh_token"] == 42),
    "refresh_token_absent": (200, lambda told: "refresh_token" not in told),
    "ok_with_error": (200, lambda told: told["error"] == "invalid_grant" and "access_token" not in told),
    "ok_with_error_and_token": (
        200,
        lambda told: told["error"] == "invalid_grant" and "access_token" in told,
    ),
    "error_with_token": (400, lambda told: "error" not in told and "access_token" in told),
    "error_with_error_and_token": (400, lambda told: "error" in told and "access_token" in told),
    "message_only": (400, lambda told: told == {"message": "Bad request"}),
    "invalid_grant": (400, lambda told: told["error"] == "invalid_grant"),
    "downscoped": (200, lambda told: told["scope"] == "openid"),
    "scope_absent": (200, lambda told: "scope" not in told),
    "scope_list": (200, lambda told: told["scope"] == ["openid", "offline_access"]),
    "internal_error": (500, lambda told: told["error"] == "server_error"),
    "too_many_requests": (429, lambda told: told["error"] == "slow_down"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_an_answer_is_wrong_once_and_was_processed(idp: Provider, kind: str) -> None:
    status, is_wrong = WRONG[kind]
    first = idp.consent()
    order(idp, kind, grant="refresh_token")
    idp.token(OWN)
    answer = ask(idp, renewal(first["refresh_token"]))
    assert answer.status_code == status
    assert is_wrong(json.loads(answer.text))
    spent, again = idp.log()[-1], ask(idp, renewal(first["refresh_token"]))
    assert (spent["outcome"], spent["misbehaviour"]) == ("issued", kind)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    right = idp.token(OWN)
    assert (right["token_type"], right["expires_in"]) == ("Bearer", 3600)


TEXTS: dict[str, Callable[[requests.Response], bool]] = {
    "not_json": lambda answer: "<form" in answer.text and "html" in answer.headers["Content-Type"],
    "wrong_media_type": lambda answer: (
        answer.headers["Content-Type"] == "text/html" and "access_token" in answer.text
    ),
    "empty": lambda answer: answer.content == b"",
    "truncated": lambda answer: answer.content.startswith(b"{") and not answer.content.endswith(b"}"),
    "an_array": lambda answer: answer.json() == [],
    "deep_nesting": lambda answer: answer.text.count("{") == 100_000,
    "utf_16": lambda answer: "access_token" in answer.content.decode("utf-16"),
    "byte_order_mark": lambda answer: answer.content.startswith(b"\xef\xbb\xbf{"),
    "duplicate_keys": lambda answer: answer.text.count('"access_token"') == 2,
    "huge_body": lambda answer: len(answer.content) > 10_000_000 and "access_token" in answer.json(),
    "unavailable": lambda answer: answer.status_code == 503,
    "gzip": lambda answer: (
        answer.headers["Content-Encoding"] == "gzip" and answer.json()["token_type"] == "Bearer"
    ),
    "gzip_bomb": lambda answer: (
        int(answer.headers["Content-Length"]) < 100_000 and len(answer.content) > 10_000_000
    ),
    "packed_unknown": lambda answer: answer.headers["Content-Encoding"] == "br",
    "refused_with_a_page": lambda answer: answer.status_code == 404 and "<form" in answer.text,
    "temporarily_unavailable": lambda answer: answer.json() == {"error": "temporarily_unavailable"},
    "error_object": lambda answer: answer.status_code == 400 and "code" in answer.json()["error"],
    "described": lambda answer: answer.status_code == 400 and answer.json()["error_description"] == "",
}


@pytest.mark.parametrize("kind", TEXTS)
def test_a_body_is_wrong_once(idp: Provider, kind: str) -> None:
    order(idp, kind)
    assert TEXTS[kind](ask(idp))
    idp.token(OWN)


def test_the_last_of_doubled_keys_is_the_right_one(idp: Provider) -> None:
    order(idp, "duplicate_keys")
    pairs = json.loads(ask(idp).text, object_pairs_hook=list)
    values = [value for name, value in pairs if name == "access_token"]
    assert values[0] == "doubled"
    assert idp.active(values[1])["active"]


@pytest.mark.parametrize("status", [302, 307, 308])
def test_a_redirect_leads_to_a_trap_that_notes_what_it_was_given(idp: Provider, status: int) -> None:
    order(idp, f"redirect_{status}", times=2)
    answer = ask(idp)
    assert answer.status_code == status
    assert answer.headers["Location"].startswith(idp.control_url)
    assert idp.log("trap") == []
    secret = idp.clients["encours-post"]["secret"]
    form = OWN | {"client_id": "encours-post", "client_secret": secret}
    idp.session.post(idp.endpoints["token"], data=form, timeout=30)  # follows it, as it should not
    (noted,) = idp.log("trap")
    assert noted["carried"] == ([] if status == 302 else ["client_secret"])
    assert secret not in json.dumps(noted)


def test_every_kind_is_named_with_its_endpoint(idp: Provider) -> None:
    kinds = idp.control("misbehaviours")
    assert (kinds["empty"], kinds["huge_jwks"], kinds["slow_head"]) == ("token", "jwks", "token")
    for kind in kinds:
        order(idp, kind)
    assert [waiting["kind"] for waiting in idp.control("misbehave")["waiting"]] == list(kinds)


def test_a_command_waits_counts_and_is_forgotten(idp: Provider) -> None:
    order(idp, "unavailable", after=1, times=2)
    assert [ask(idp).status_code for _ in range(4)] == [200, 503, 503, 200]
    order(idp, "unavailable")
    idp.control("misbehave", method="DELETE")
    assert ask(idp).status_code == 200


def test_a_wrong_member_waits_for_an_answer_that_has_members(idp: Provider) -> None:
    order(idp, "token_type_wrong")
    assert ask(idp, OWN | {"scope": "everything"}).json() == {
        "error": "invalid_scope",
        "error_description": "the client may not have all of this scope",
    }
    assert ask(idp).json()["token_type"] == "mac"
    assert [entry["misbehaviour"] for entry in idp.log()] == ["", "token_type_wrong"]


@pytest.mark.parametrize(
    "wish",
    [
        {"kind": "loud"},
        {"kind": "empty", "set": "x"},
        {"times": 1},
        {"kind": "empty", "times": "often"},
    ],
)
def test_an_unknown_command_is_refused_with_words(idp: Provider, wish: dict[str, Any]) -> None:
    answer = requests.post(f"{idp.control_url}/_sandbox/misbehave", json=wish, timeout=30)
    assert answer.status_code == 400
    assert "misbehaviour" in answer.json()["error"]


def test_a_quirk_of_a_profile_never_stops(start_idp: Idps) -> None:
    idp = start_idp("--set", 'quirks=["expires_in_text", "token_type_lower_case"]')
    for _ in range(3):
        told = idp.token(OWN)
        assert (told["expires_in"], told["token_type"]) == ("3600", "bearer")


# Metadata, keys and the way back of the browser


@pytest.mark.parametrize(
    ("kind", "changed", "value"),
    [
        ("other_issuer", "issuer", "https://elsewhere.example"),
        ("internal_addresses", "token_endpoint", "http://169.254.169.254/token"),
        ("internal_addresses", "jwks_uri", "http://169.254.169.254/jwks"),
        ("other_origin", "authorization_endpoint", "https://elsewhere.example/authorize"),
        ("no_token_endpoint", "token_endpoint", None),
        ("no_issuer", "issuer", None),
    ],
)
def test_metadata_is_wrong_once(idp: Provider, kind: str, changed: str, value: str | None) -> None:
    order(idp, kind)
    wrong = idp.session.get(idp.issuer + METADATA, timeout=30).json()
    right = idp.session.get(idp.issuer + METADATA, timeout=30).json()
    assert wrong.get(changed) == value
    assert right["issuer"] == idp.issuer
    assert (wrong.get("issuer") == idp.issuer) == ("issuer" not in kind)


def test_metadata_can_name_any_internal_address(idp: Provider) -> None:
    order(idp, "internal_addresses", value="http://10.0.0.1:8080")
    wrong = idp.session.get(idp.issuer + METADATA, timeout=30).json()
    assert wrong["token_endpoint"] == "http://10.0.0.1:8080/token"


def test_keys_are_huge_unusable_doubled_or_gone(idp: Provider) -> None:
    right = idp.session.get(idp.endpoints["jwks"], timeout=30).json()["keys"]
    for kind in ("huge_jwks", "unusable_keys_first", "same_kid", "no_keys"):
        order(idp, kind)
    huge, unusable, same, none = (idp.session.get(idp.endpoints["jwks"], timeout=30) for _ in range(4))
    assert len(huge.content) > 10_000_000
    assert huge.json()["keys"][: len(right)] == right
    assert unusable.json()["keys"][-len(right) :] == right
    assert unusable.json()["keys"][0]["kty"] == "XYZ"
    assert {key["kid"] for key in same.json()["keys"]} == {"1"}
    assert none.json() == {"keys": []}
    assert idp.session.get(idp.endpoints["jwks"], timeout=30).json()["keys"] == right


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("returns_no_iss", {"iss": None}),
        ("returns_other_iss", {"iss": "https://elsewhere.example"}),
        ("returns_other_state", {"state": "other"}),
        ("returns_no_state", {"state": None}),
        ("returns_error_beside_code", {"error": "access_denied"}),
    ],
)
def test_the_browser_comes_back_with_something_wrong(
    idp: Provider, kind: str, changes: dict[str, str | None]
) -> None:
    page = idp.authorize()
    order(idp, kind)
    returned = back(idp.decide(page))
    expected = {"state": "a state", "iss": idp.issuer} | changes
    assert {name: returned.get(name) for name in expected} == expected
    assert "code" in returned


# The connection


def test_an_answer_is_lost_after_the_token_was_spent(idp: Provider) -> None:
    first = idp.consent()
    order(idp, "lose_answer", grant="refresh_token")
    with pytest.raises(requests.ConnectionError):
        ask(idp, renewal(first["refresh_token"]))
    assert (idp.log()[-1]["outcome"], idp.log()[-1]["refresh"]) == ("issued", digest(first["refresh_token"]))
    assert idp.error(renewal(first["refresh_token"])) == "invalid_grant"


def test_a_request_is_lost_before_the_token_is_spent(idp: Provider) -> None:
    first = idp.consent()
    order(idp, "lose_request", grant="refresh_token")
    with pytest.raises(requests.ConnectionError):
        ask(idp, renewal(first["refresh_token"]))
    assert (idp.log()[-1]["outcome"], idp.log()[-1]["status"]) == ("lose_request", 0)
    idp.token(renewal(first["refresh_token"]))


def test_an_answer_breaks_off(idp: Provider) -> None:
    order(idp, "cut_answer")
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        ask(idp)


def test_an_answer_drips(idp: Provider) -> None:
    """More bytes than are waited for, so the answer's first byte is here and its last is not."""
    order(idp, "slow_drip", seconds=3600.0)
    with socket.create_connection((urlsplit(idp.issuer).hostname, urlsplit(idp.issuer).port), 30) as open_one:
        body = "grant_type=client_credentials&client_id=x"
        open_one.sendall(
            f"POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        received = b""
        while not received.partition(b"\r\n\r\n")[2]:
            received += open_one.recv(4096)
    head, _, begun = received.partition(b"\r\n\r\n")
    assert begun == b"{"
    assert b"Content-Length: " in head


def test_the_head_of_an_answer_drips(idp: Provider) -> None:
    order(idp, "slow_head", seconds=3600.0)
    with socket.create_connection((urlsplit(idp.issuer).hostname, urlsplit(idp.issuer).port), 30) as open_one:
        open_one.sendall(b"POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        assert open_one.recv(4096) == b"H"


def test_a_request_that_breaks_off_is_not_processed(idp: Provider) -> None:
    place = (urlsplit(idp.issuer).hostname, urlsplit(idp.issuer).port)
    with socket.create_connection(place, 30) as open_one:
        open_one.sendall(b"POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\ngrant")
        open_one.shutdown(socket.SHUT_WR)
        assert open_one.recv(4096) == b""
    assert idp.log() == []


@pytest.mark.parametrize(("kind", "spent"), [("hold_request", False), ("hold_answer", True)])
def test_a_call_is_held_until_released(idp: Provider, kind: str, *, spent: bool) -> None:
    """So that a client can be killed between two steps, without a clock."""
    first = idp.consent()
    order(idp, kind, grant="refresh_token")
    answers: list[int] = []
    held = threading.Thread(target=lambda: answers.append(_alone(idp, renewal(first["refresh_token"]))))
    held.start()
    while not idp.control("held")["held"]:
        time.sleep(0.01)
    outcomes = [entry["outcome"] for entry in idp.log() if entry["grant"] == "refresh_token"]
    assert outcomes == (["issued"] if spent else [])
    assert answers == []
    assert idp.control("held", method="DELETE")["released"] == [f"token {kind.removeprefix('hold_')}"]
    held.join()
    assert answers == [200]


def _alone(idp: Provider, form: Form) -> int:
    with requests.Session() as session:
        session.trust_env = False
        return session.post(idp.endpoints["token"], data=form, auth=idp.basic(), timeout=60).status_code


def test_the_provider_dies_after_the_token_was_spent(start_idp: Idps) -> None:
    port = str(two_free_ports())
    idp = start_idp("--port", port)
    first = idp.consent()
    order(idp, "die", grant="refresh_token")
    with pytest.raises(requests.ConnectionError):
        ask(idp, renewal(first["refresh_token"]))
    process, _ = start_idp.running[-1]
    assert process.wait(timeout=30) == -9
    again = start_idp("--port", port, home=idp.home)
    assert again.log()[-1]["outcome"] == "issued"
    assert again.error(renewal(first["refresh_token"])) == "invalid_grant"


def test_latency_delays_every_answer(idp: Provider) -> None:
    idp.control("latency", {"before": 0.1, "after": 0.2})
    begun = time.monotonic()
    idp.token(OWN)
    assert time.monotonic() - begun >= 0.3


# Outages


def test_an_outage_is_answered_with_503_and_not_processed(idp: Provider) -> None:
    first = idp.consent()
    idp.control("outage", {"kind": "unavailable"})
    refused = ask(idp, renewal(first["refresh_token"]))
    assert (refused.status_code, refused.headers["Connection"]) == (503, "close")
    assert idp.session.get(idp.endpoints["jwks"], timeout=30).status_code == 503
    idp.control("outage", {"kind": ""})
    idp.token(renewal(first["refresh_token"]))
    assert [entry["outcome"] for entry in idp.log()] == ["issued", "outage unavailable", "issued"]


def test_in_a_silent_outage_nobody_answers(idp: Provider) -> None:
    first = idp.consent()
    idp.control("outage", {"kind": "silent"})
    with pytest.raises(requests.ReadTimeout):
        idp.session.post(
            idp.endpoints["token"], data=renewal(first["refresh_token"]), auth=idp.basic(), timeout=(10, 0.2)
        )
    idp.control("outage", {})
    idp.token(renewal(first["refresh_token"]))


def test_in_an_outage_connections_are_refused_and_open_ones_are_cut(idp: Provider) -> None:
    first = idp.consent()
    idp.control("outage", {"kind": "refused"})
    for session in (idp.session, requests.Session()):
        session.trust_env = False
        with pytest.raises(requests.ConnectionError):
            session.post(
                idp.endpoints["token"], data=renewal(first["refresh_token"]), auth=idp.basic(), timeout=30
            )
    idp.control("outage", {})
    idp.token(renewal(first["refresh_token"]))
    assert [entry["outcome"] for entry in idp.log()] == ["issued", "issued"]


@pytest.mark.parametrize("kind", ["unavailable", "refused"])
def test_an_outage_ends_by_itself(idp: Provider, kind: str) -> None:
    idp.control("outage", {"kind": kind, "seconds": 0.2})
    while idp.control("outage")["kind"]:
        time.sleep(0.05)
    idp.token(OWN)


def test_an_unknown_outage_is_refused(idp: Provider) -> None:
    answer = requests.post(f"{idp.control_url}/_sandbox/outage", json={"kind": "loud"}, timeout=30)
    assert answer.status_code == 400
    assert "unavailable" in answer.json()["error"]


def test_a_body_that_is_too_large_or_has_no_length_is_refused(idp: Provider) -> None:
    assert ask(idp, OWN | {"padding": "x" * 70_000}).status_code == 400
    chunks = iter([b"grant_type=client_credentials"])
    answer = idp.session.post(idp.endpoints["token"], data=chunks, auth=idp.basic(), timeout=30)
    assert answer.status_code == 400
    assert dict(parse_qsl(urlsplit(answer.url).query)) == {}
