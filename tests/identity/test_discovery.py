"""What an issuer says of itself, and its keys: believed only as far as they may be."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey

from identity.answers import granted
from identity.asking import Reply
from identity.discovery import Metadata, below, discovered
from identity.errors import Denied, IdentityError, TryLater
from identity.jwks import Jwks, PublicKey, usable_keys
from identity.secret import Body
from identity.strict_json import strict_object
from tests.identity.asked import asking, basic, grants, order
from tests.sandbox.idp_client import Provider
from tests.sandbox.idps import Idps

NOON = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def running(idps: Idps) -> Provider:
    return idps("--profile", "strict")


def everything(idp: Provider) -> list[str]:
    return [entry["endpoint"] for entry in idp.control(f"log?since={idp.since}")["requests"]]


# Metadata


def test_an_issuer_is_discovered(idp: Provider) -> None:
    found = discovered(asking(), idp.issuer)
    assert found == Metadata(
        issuer=idp.issuer,
        token_endpoint=idp.endpoints["token"],
        authorization_endpoint=idp.endpoints["authorize"],
        device_authorization_endpoint=idp.endpoints["device"],
        revocation_endpoint=idp.endpoints["revoke"],
        introspection_endpoint=idp.endpoints["introspect"],
        jwks_uri=idp.endpoints["jwks"],
        authentication=(
            "client_secret_basic",
            "client_secret_post",
            "private_key_jwt",
            "tls_client_auth",
            "none",
        ),
        names_itself=True,
    )
    assert everything(idp) == ["metadata"]
    assert granted(asking().post(*grants(idp, basic(idp)).client_credentials(frozenset())), None).expires_in


WRONG: dict[str, tuple[type[IdentityError], str]] = {
    "other_issuer": (Denied, "other_issuer"),
    "no_issuer": (Denied, "other_issuer"),
    "internal_addresses": (Denied, "foreign_endpoint"),
    "other_origin": (Denied, "foreign_endpoint"),
    "no_token_endpoint": (Denied, "no_token_endpoint"),
}
ALSO = {
    "redirect_302": (Denied, "redirected"),
    "redirect_307": (Denied, "redirected"),
    "not_json": (TryLater, "unreadable"),
    "duplicate_keys": (TryLater, "unreadable"),
    "huge_body": (TryLater, "no_answer"),
    "unavailable": (TryLater, "provider_error"),
    "lose_answer": (TryLater, "no_answer"),
}


def test_every_misbehaviour_of_metadata_and_keys_has_an_outcome(idp: Provider) -> None:
    kinds = idp.control("misbehaviours").items()
    assert {kind for kind, endpoint in kinds if endpoint == "metadata"} == set(WRONG)
    assert {kind for kind, endpoint in kinds if endpoint == "jwks"} == {
        *NO_KEYS,
        "unusable_keys_first",
        "same_kid",
    }


@pytest.mark.parametrize("kind", [*WRONG, *ALSO])
def test_wrong_metadata_is_refused_and_nobody_else_is_asked(idp: Provider, kind: str) -> None:
    order(idp, kind, endpoint="metadata")
    with pytest.raises(IdentityError) as refused:
        discovered(asking(), idp.issuer)
    assert (type(refused.value), refused.value.code) == (WRONG | ALSO)[kind]
    assert everything(idp) == ["metadata"]


@pytest.mark.parametrize(
    "host", ["http://localhost:1", "http://127.0.0.1:1", "http://[::1]:1", "http://10.0.0.1"]
)
def test_endpoints_at_internal_addresses_are_refused(idp: Provider, host: str) -> None:
    order(idp, "internal_addresses", value=host)
    with pytest.raises(Denied) as refused:
        discovered(asking(), idp.issuer)
    assert refused.value.code == "foreign_endpoint"


def test_the_trap_is_not_asked_when_metadata_leads_there(idp: Provider) -> None:
    order(idp, "other_origin", value=f"{idp.control_url}/_sandbox/trap")
    with pytest.raises(Denied, match="Nothing was sent there"):
        discovered(asking(), idp.issuer, ["127.0.0.1"])  # a suffix admits https only
    assert everything(idp) == ["metadata"]


def test_the_issuer_must_be_exactly_the_one_asked_for(idp: Provider) -> None:
    for issuer in (f"{idp.issuer}/", idp.issuer.replace("127.0.0.1", "localhost")):
        with pytest.raises(Denied) as refused:
            discovered(asking(), issuer)
        assert refused.value.code == "other_issuer"


@pytest.mark.parametrize(
    "issuer", ["https://a.example?x=1", "https://a.example#x", "ftp://a.example", "a.example", ""]
)
def test_an_issuer_that_is_none_is_refused(issuer: str) -> None:
    with pytest.raises(Denied):
        discovered(asking(), issuer)


@pytest.mark.parametrize(
    ("address", "admitted"),
    [
        (("https", "api.intacct.com", 443), True),
        (("https", "intacct.com", 443), True),
        (("http", "api.intacct.com", 443), False),
        (("https", "api.intacct.com", 8443), False),
        (("https", "evilintacct.com", 443), False),
        (("https", "intacct.com.evil.example", 443), False),
    ],
)
def test_a_suffix_admits_https_below_it(address: tuple[str, str, int], *, admitted: bool) -> None:
    assert below(address, ["intacct.com"]) is admitted


Answers = dict[str, tuple[int, str]]


@pytest.fixture
def site() -> Iterator[tuple[str, Answers, list[str]]]:
    """A web site: its address, what it answers under which path, and what was asked for."""
    answers: Answers = {}
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            status, text = answers.get(self.path, (404, "<h1>Not found</h1>"))
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_arguments: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", answers, asked
        server.shutdown()
        thread.join()


def test_metadata_is_looked_for_in_both_places(site: tuple[str, Answers, list[str]]) -> None:
    url, answers, asked = site
    issuer = f"{url}/tenant/v2/"
    places = [
        "/tenant/v2/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server/tenant/v2",
    ]
    for place in places:
        answers.clear()
        asked.clear()
        answers[place] = (200, f'{{"issuer": "{issuer}", "token_endpoint": "{url}/token"}}')
        found = discovered(asking(), issuer)
        assert (found.token_endpoint, found.jwks_uri, found.authentication) == (
            f"{url}/token",
            None,
            ("client_secret_basic",),
        )
        assert not found.names_itself
        assert asked == places[: places.index(place) + 1]
    answers.clear()
    with pytest.raises(Denied) as refused:
        discovered(asking(), issuer)
    assert refused.value.code == "refused"


@pytest.mark.parametrize(
    "member",
    [
        '"token_endpoint": 5',
        '"token_endpoint": "https://user@x.example/"',
        '"token_endpoint": "/token"',
        '"jwks_uri": "file:///etc/passwd"',
        '"revocation_endpoint": ["x"]',
        '"token_endpoint_auth_methods_supported": "none"',
        '"token_endpoint_auth_methods_supported": [5]',
    ],
)
def test_a_member_that_is_wrong_is_refused(site: tuple[str, Answers, list[str]], member: str) -> None:
    url, answers, asked = site
    usual = "" if '"token_endpoint":' in member else f'"token_endpoint": "{url}/token", '
    answers["/.well-known/openid-configuration"] = (200, f'{{"issuer": "{url}", {usual}{member}}}')
    with pytest.raises(Denied) as refused:
        discovered(asking(), url)
    assert refused.value.code in ("invalid_metadata", "invalid_address")
    assert asked == ["/.well-known/openid-configuration"]


# Keys


def keys_of(idp: Provider, clock: Callable[[], datetime] = lambda: NOON) -> Jwks:
    return Jwks(asking(), idp.endpoints["jwks"], clock)


def kinds(keys: tuple[PublicKey, ...]) -> list[tuple[str, str | None]]:
    return [(key.kty, key.alg) for key in keys]


def test_keys_are_read(idp: Provider) -> None:
    assert kinds(keys_of(idp).usable()) == [("RSA", "RS256"), ("EC", "ES256")]


def test_unusable_keys_that_come_first_hide_no_other(idp: Provider) -> None:
    order(idp, "unusable_keys_first")
    assert kinds(keys_of(idp).usable()) == [("RSA", "RS256"), ("EC", "ES256")]


def test_two_keys_of_one_id_are_both_kept(idp: Provider) -> None:
    order(idp, "same_kid")
    assert [key.kid for key in keys_of(idp).usable()] == ["1", "1"]


NO_KEYS: dict[str, tuple[type[IdentityError], str]] = {
    "huge_jwks": (TryLater, "no_answer"),
    "no_keys": (Denied, "no_usable_keys"),
}


@pytest.mark.parametrize("kind", NO_KEYS)
def test_a_wrong_set_is_refused(idp: Provider, kind: str) -> None:
    order(idp, kind)
    with pytest.raises(IdentityError) as refused:
        keys_of(idp).usable()
    assert (type(refused.value), refused.value.code) == NO_KEYS[kind]


def test_many_keys_are_refused_and_those_up_to_512_kib_are_not(idp: Provider) -> None:
    order(idp, "huge_jwks", value="180000")
    assert 300 < len(keys_of(idp).usable()) <= 512
    order(idp, "huge_jwks", value="300000")
    with pytest.raises(Denied) as refused:
        keys_of(idp).usable()
    assert refused.value.code == "too_many_keys"


def jwks(*keys: Any) -> Reply:
    return Reply(200, "application/json", Body(json.dumps({"keys": keys}).encode()))


def test_each_kind_of_key_is_usable_and_private_parts_are_left_out() -> None:
    good: list[RSAKey | ECKey | OKPKey] = [
        OKPKey.generate_key("Ed25519"),
        *(ECKey.generate_key(curve) for curve in ("P-256", "P-384", "P-521")),
        RSAKey.generate_key(2048),
    ]
    found = usable_keys(jwks(*(key.as_dict(private=True) for key in good)))
    assert [(key.kty, key.crv) for key in found] == [
        ("OKP", "Ed25519"),
        ("EC", "P-256"),
        ("EC", "P-384"),
        ("EC", "P-521"),
        ("RSA", None),
    ]
    assert not any({"d", "p", "q"} & set(key.members) for key in found)


def test_an_unusable_key_is_skipped() -> None:
    good = RSAKey.generate_key(2048).as_dict(private=False)
    bad: list[Any] = [
        5,
        None,
        [],
        {},
        {**good, "kty": ["RSA"]},
        {**good, "kid": 5},
        {**good, "key_ops": "verify"},
        {**good, "e": "AQ"},  # 1
        {**good, "e": "AQAC"},  # even
        {**good, "n": good["n"][:300]},
        {**good, "n": "ü"},
        {**good, "n": 5},
        {"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": ["P-256"]},
        {"kty": "OKP", "crv": "Ed25519", "x": "AA"},
        {"kty": "oct", "k": "AA"},
    ]
    assert len(usable_keys(jwks(*bad, good))) == 1
    for one in bad:
        with pytest.raises(Denied):
            usable_keys(jwks(one))
    with pytest.raises(Denied):
        usable_keys(Reply(200, "", Body(b'{"keys": {}}')))


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **span: float) -> None:
        self.now += timedelta(**span)


def test_keys_are_kept_for_300_seconds(idp: Provider) -> None:
    clock = Clock()
    keys = keys_of(idp, clock)
    first = keys.usable()
    idp.control("keys", {"keep_old": False})
    clock.forward(seconds=299)
    assert keys.usable() == first
    assert everything(idp) == ["jwks"]
    clock.forward(seconds=1)
    assert keys.usable() != first
    assert everything(idp) == ["jwks", "jwks"]


def test_new_keys_are_asked_for_twice_a_minute_at_most(idp: Provider) -> None:
    clock = Clock()
    keys = keys_of(idp, clock)
    keys.usable()
    clock.forward(seconds=61)
    for _ in range(10):
        keys.usable(fresh=True)
    assert everything(idp) == ["jwks"] * 3
    clock.forward(seconds=60)
    keys.usable(fresh=True)
    assert everything(idp) == ["jwks"] * 4


def test_the_last_good_keys_survive_an_outage_of_a_day(idp: Provider) -> None:
    clock = Clock()
    keys = keys_of(idp, clock)
    good = keys.usable()
    idp.control("outage", {"kind": "unavailable"})
    clock.forward(hours=24, seconds=-1)
    for _ in range(5):
        assert keys.usable() == good
    assert everything(idp) == ["jwks"] * 3  # it is not asked at every call
    clock.forward(seconds=1)
    with pytest.raises(TryLater):
        keys.usable()
    idp.control("outage", {})
    assert keys.usable() == good


def test_metadata_is_read_as_strictly_as_tokens() -> None:
    assert strict_object(Body(b"\xef\xbb\xbf{}")) == {}
