"""Every answer that a provider may give wrongly, each with its outcome, over real HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import quote_plus

import pytest

from identity.answers import Granted, granted, introspected, polled, refuse_narrower
from identity.asking import Reply
from identity.errors import Denied, IdentityError, TryLater
from identity.grants import Ask
from identity.secret import Body, Secret
from tests.identity.asked import asking, grants, order
from tests.sandbox.idp_client import Provider
from tests.sandbox.idps import Idps

SCOPE = frozenset({"openid", "offline_access"})


@pytest.fixture(scope="module")
def running(idps: Idps) -> Provider:
    return idps("--profile", "forgiving")


UNREADABLE = (TryLater, "unreadable")
FAILED = (TryLater, "provider_error")
NO_ANSWER = (TryLater, "no_answer")
REDIRECTED = (Denied, "redirected")
INVALID_GRANT = (Denied, "invalid_grant")

REFUSED: dict[str, tuple[type[IdentityError], str]] = {
    "redirect_302": REDIRECTED,
    "redirect_307": REDIRECTED,
    "redirect_308": REDIRECTED,
    "unavailable": FAILED,
    "internal_error": FAILED,
    "too_many_requests": FAILED,
    "temporarily_unavailable": FAILED,
    "huge_body": NO_ANSWER,
    "gzip_bomb": NO_ANSWER,
    "packed_unknown": NO_ANSWER,
    "not_json": UNREADABLE,
    "empty": UNREADABLE,
    "truncated": UNREADABLE,
    "an_array": UNREADABLE,
    "deep_nesting": NO_ANSWER,  # 600 KB: too long before it is too deep
    "utf_16": UNREADABLE,
    "duplicate_keys": UNREADABLE,
    "token_type_missing": UNREADABLE,
    "token_type_null": UNREADABLE,
    "token_type_wrong": UNREADABLE,
    "access_token_missing": UNREADABLE,
    "access_token_null": UNREADABLE,
    "access_token_number": UNREADABLE,
    "access_token_empty": UNREADABLE,
    "access_token_line_break": UNREADABLE,
    "expires_in_negative": UNREADABLE,
    "expires_in_zero": UNREADABLE,
    "expires_in_words": UNREADABLE,
    "expires_in_boolean": UNREADABLE,
    "expires_in_fraction": UNREADABLE,
    "expires_in_nan": UNREADABLE,
    "refresh_token_number": UNREADABLE,
    "scope_list": UNREADABLE,
    "ok_with_error": INVALID_GRANT,
    "ok_with_error_and_token": INVALID_GRANT,
    "error_with_error_and_token": INVALID_GRANT,
    "invalid_grant": INVALID_GRANT,
    "error_with_token": (Denied, "refused"),
    "message_only": (Denied, "refused"),
    "error_object": (Denied, "refused"),
    "refused_with_a_page": (Denied, "refused"),
    "described": (Denied, "invalid_request"),
    "downscoped": (Denied, "downscoped"),
    "lose_request": NO_ANSWER,
    "lose_answer": NO_ANSWER,
    "cut_answer": NO_ANSWER,
    "slow_drip": NO_ANSWER,
    "slow_head": NO_ANSWER,
    "hold_request": NO_ANSWER,
    "hold_answer": NO_ANSWER,
}

TAKEN: dict[str, Callable[[Granted], bool]] = {
    "gzip": lambda found: found.expires_in == 3600,
    "byte_order_mark": lambda found: found.expires_in == 3600,
    "wrong_media_type": lambda found: found.expires_in == 3600,
    "token_type_lower_case": lambda found: found.expires_in == 3600,
    "expires_in_text": lambda found: found.expires_in == 3600,
    "expires_in_huge": lambda found: found.expires_in == 86_400,
    "expires_in_null": lambda found: found.expires_in == 1234,
    "expires_in_absent": lambda found: found.expires_in == 1234,
    "refresh_token_null": lambda found: found.refresh is None,
    "refresh_token_empty": lambda found: found.refresh is None,
    "refresh_token_absent": lambda found: found.refresh is None,
    "scope_absent": lambda found: found.scope is None,
}

ELSEWHERE = {"die"}  # kills the provider: of a process of its own, in test_asking


def renewal(idp: Provider) -> Ask:
    return grants(idp).refresh(Secret(idp.consent()["refresh_token"]))


def test_every_misbehaviour_of_the_token_endpoint_has_an_outcome(idp: Provider) -> None:
    kinds = idp.control("misbehaviours")
    assert {kind for kind, endpoint in kinds.items() if endpoint == "token"} == {*REFUSED, *TAKEN, *ELSEWHERE}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_wrong_answer_is_refused(idp: Provider, kind: str) -> None:
    ask = renewal(idp)
    order(idp, kind, grant="refresh_token")
    with pytest.raises(IdentityError) as refused:
        granted(asking().post(*ask), SCOPE, lifetime=1234)
    assert (type(refused.value), refused.value.code) == REFUSED[kind]
    idp.control("held", method="DELETE")
    while len(idp.log()) < 2:  # what was held is logged when it goes on
        time.sleep(0.01)
    assert len(idp.log()) == 2  # the consent, and the one request
    assert idp.log("trap") == []


@pytest.mark.parametrize("kind", TAKEN)
def test_an_unusual_answer_is_taken_for_what_it_says(idp: Provider, kind: str) -> None:
    ask = renewal(idp)
    order(idp, kind, grant="refresh_token")
    found = granted(asking().post(*ask), SCOPE, lifetime=1234)
    assert TAKEN[kind](found)
    assert idp.active(found.access.reveal())["active"]
    assert [entry["misbehaviour"] for entry in idp.log()] == ["", kind]


def test_what_is_packed_too_well_is_called_too_long(idp: Provider) -> None:
    order(idp, "gzip_bomb")
    with pytest.raises(TryLater, match="more than an answer may have"):
        asking().post(*grants(idp).client_credentials(frozenset()))


def test_what_is_missing_of_a_scope_is_named(idp: Provider) -> None:
    ask = renewal(idp)
    order(idp, "downscoped", grant="refresh_token")
    with pytest.raises(Denied, match=r"missing: offline_access\. ") as refused:
        granted(asking().post(*ask), SCOPE)
    assert refused.value.code == "downscoped"


def test_more_scope_than_asked_for_and_an_absent_one_are_right() -> None:
    token = Secret("token")
    refuse_narrower(Granted(token, None, 60, frozenset({"a", "b"})), frozenset({"a"}))
    refuse_narrower(Granted(token, None, 60, None), frozenset({"a"}))
    with pytest.raises(Denied):
        refuse_narrower(Granted(token, None, 60, frozenset()), frozenset({"a"}))


@pytest.mark.parametrize("shape", ["{}", "'{}'.", "of client {} (wrong)", "x{}y"])
def test_a_refusal_repeats_no_secret_that_was_sent(idp: Provider, shape: str) -> None:
    secret = "a+b/c secret-of-the-refresh-token"
    client_secret = idp.clients["encours-basic"]["secret"]
    ask = grants(idp).refresh(Secret(secret))
    header = ask.secrets[1].reveal()
    for echoed in (secret, quote_plus(secret), client_secret, header, client_secret[:10], header[4:20]):
        idp.control("misbehave", method="DELETE")
        order(idp, "described", value="Invalid " + shape.format(echoed) + " end", grant="client_credentials")
        own = grants(idp).client_credentials(frozenset())._replace(secrets=(*ask.secrets, Secret(secret)))
        with pytest.raises(Denied, match=r"\[hidden\].* end") as refused:
            granted(asking().post(*own), None)
        assert echoed not in str(refused.value)


def test_words_are_cleaned_and_cut(idp: Provider) -> None:
    order(idp, "described", value="a\r\nb\x1b[31m" + "c" * 1000)
    with pytest.raises(Denied) as refused:
        granted(asking().post(*grants(idp).client_credentials(frozenset())), None)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 300


def reply(status: int, body: bytes, *sent: Secret) -> Reply:
    return Reply(status, "application/json", Body(body), sent)


RIGHT = b'{"access_token": "t", "token_type": "Bearer", "more": %s}'


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (b'{"a":' * 64 + b"1" + b"}" * 64, "64 levels"),
        (b"[" * 64 + b"]" * 64, "64 levels"),
        (b"[" * 100_000 + b"]" * 100_000, "64 levels"),
        (b'"' + b'\\"' * 100_000, "no JSON"),
        (b"1" + b"0" * 5000, "digits"),
        (b"{" + b",".join(b'"%d":1' % number for number in range(5001)) + b"}", "5000 members"),
        (b'{"a": 1, "a": 1}', "stands twice"),
        (b'"\xff"', "not UTF-8"),
        (b"-Infinity", "NaN"),
        (b"NaN", "NaN"),
        (b"01", "no JSON"),
    ],
)
def test_a_body_beyond_the_limits_is_unreadable(more: bytes, words: str) -> None:
    with pytest.raises(TryLater, match=words) as refused:
        granted(reply(200, RIGHT % more), None)
    assert refused.value.code == "unreadable"


def test_a_body_within_the_limits_is_read() -> None:
    members = b"{" + b",".join(b'"%d":1' % number for number in range(5000)) + b"}"
    for more in (b"[" * 63 + b"]" * 63, b"1" + b"0" * 4000, b'"\\ud800"', members):
        assert granted(reply(200, RIGHT % more), None).expires_in == 3600


def test_brackets_in_texts_are_no_levels() -> None:
    body = b'{"access_token": "t", "token_type": "Bearer", "more": "%s\\""}' % (b"[" * 100)
    assert granted(reply(200, body), None).access == Secret("t")


@pytest.mark.parametrize("status", [204, 206, 100, 600])
def test_a_status_that_is_none_of_a_token_answer_fails(status: int) -> None:
    with pytest.raises(TryLater):
        granted(reply(status, b'{"access_token": "t", "token_type": "Bearer"}'), None)


def test_a_code_that_is_none_or_repeats_a_secret_is_not_shown() -> None:
    for error in ('"a b"', '"%s"' % ("x" * 65), '"canary-secret"', "5", "true"):
        with pytest.raises(Denied) as refused:
            granted(reply(400, b'{"error": %s}' % error.encode(), Secret("canary-secret")), None)
        assert refused.value.code == "refused"
        assert "canary" not in str(refused.value)


def test_an_error_that_is_null_is_none() -> None:
    body = b'{"access_token": "t", "token_type": "Bearer", "error": null}'
    assert granted(reply(200, body), None).expires_in == 3600


def test_a_poll_says_how_long_to_wait() -> None:
    assert polled(reply(400, b'{"error": "authorization_pending"}'), None, 5) == 5
    assert polled(reply(400, b'{"error": "slow_down"}'), None, 5) == 10
    for code in ("access_denied", "expired_token"):
        with pytest.raises(Denied, match=code):
            polled(reply(400, b'{"error": "%s"}' % code.encode()), None, 5)


@pytest.mark.parametrize("body", [b"{}", b'{"active": "true"}', b'{"active": 1}'])
def test_an_introspection_says_active_or_not(body: bytes) -> None:
    with pytest.raises(TryLater):
        introspected(reply(200, body))
