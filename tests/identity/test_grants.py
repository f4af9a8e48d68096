"""Each grant and each way to sign in, against the simulated provider; what arrived is counted in its own log."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from identity.answers import Granted, device, granted, introspected, polled, revoked
from identity.assertions import Vouching
from identity.errors import Denied
from identity.grants import Client, Grants
from identity.secret import Secret
from tests.identity.asked import asking, basic, grants, post
from tests.sandbox.idp_client import REDIRECT, Provider
from tests.sandbox.idps import Idps

SCOPE = frozenset({"openid", "offline_access"})
NONE: frozenset[str] = frozenset()
ODD = ["a:b", "a+b", "50%25", "über", "€uro and space", "&=?/#", "コード", '"quoted\\"', "%", "+"]


@pytest.fixture
def idp(idps: Idps) -> Provider:
    return idps.like("--profile", "strict")


def register(idp: Provider, **wish: object) -> None:
    idp.control("clients", dict(wish))


def own_token(idp: Provider, client: Client) -> Granted:
    return granted(asking().post(*grants(idp, client).client_credentials(SCOPE)), SCOPE)


def keys() -> dict[str, RSAKey | ECKey]:
    return {
        "RS256": RSAKey.generate_key(2048, {"kid": "one"}),
        "ES256": ECKey.generate_key("P-256", {"kid": "one"}),
    }


def pem(key: RSAKey | ECKey) -> Secret:
    return Secret(key.as_pem(private=True).decode())


# Ways to sign in


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
@pytest.mark.parametrize("odd", ODD)
def test_ids_and_secrets_of_any_characters_arrive_as_they_are(idp: Provider, method: str, odd: str) -> None:
    name, secret = f"client {odd} {method}", f"secret {odd}"
    register(idp, client_id=name, client_secret=secret, token_endpoint_auth_method=method)
    found = own_token(idp, Client(name, method, Secret(secret)))
    assert found.scope == SCOPE
    (entry,) = idp.log()
    assert (entry["client_id"], entry["outcome"]) == (name, "issued")


def test_a_pair_is_encoded_as_in_a_form_before_it_is_joined(idp: Provider) -> None:
    """The example of a secret with a colon, a plus, a percent sign and an umlaut (RFC 6749, 2.3.1 and B)."""
    client = Client("a:b", "client_secret_basic", Secret("c:+% ü"))
    credentials = grants(idp, client).client_credentials(NONE).secrets[1].reveal()
    assert base64.b64decode(credentials) == b"a%3Ab:c%3A%2B%25+%C3%BC"


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
@pytest.mark.parametrize("form", ["pem", "jwk"])
def test_a_client_signs_in_by_a_key(idp: Provider, algorithm: str, form: str) -> None:
    key, name = keys()[algorithm], f"by-key {algorithm} {form}"
    public = {"keys": [key.as_dict(private=False)]}
    register(idp, client_id=name, jwks=public, token_endpoint_auth_method="private_key_jwt")
    secret = pem(key) if form == "pem" else Secret(json.dumps(key.as_dict(private=True)))
    client = Client(name, "private_key_jwt", key=Vouching(secret, "one"))
    own_token(idp, client)
    own_token(idp, client)  # with an assertion of its own: one is good once
    assert [entry["outcome"] for entry in idp.log()] == ["issued", "issued"]


def test_an_assertion_says_who_for_whom_and_is_good_for_a_minute(idp: Provider) -> None:
    key = keys()["RS256"]
    moment = datetime(2026, 11, 29, 12, 0, 0, 500_000, tzinfo=UTC)
    client = Client("by-key", "private_key_jwt", key=Vouching(pem(key), "one"))
    ids = iter(["first", "second"])
    made = Grants(client, "https://idp/token", clock=lambda: moment, new_id=lambda: next(ids))
    ask = made.client_credentials(NONE)
    assertion = ask.form["client_assertion"]
    assert isinstance(assertion, Secret)
    claims = jwt.decode(assertion.reveal(), options={"verify_signature": False})
    issued = int(moment.timestamp())
    assert claims == {
        "iss": "by-key",
        "sub": "by-key",
        "aud": "https://idp/token",
        "iat": issued,
        "exp": issued + 60,
        "jti": "first",
    }
    assert jwt.get_unverified_header(assertion.reveal()) == {"alg": "RS256", "typ": "JWT", "kid": "one"}
    again = made.client_credentials(NONE).form["client_assertion"]
    assert isinstance(again, Secret)
    assert jwt.decode(again.reveal(), options={"verify_signature": False})["jti"] == "second"


def test_another_key_is_refused(idp: Provider) -> None:
    name = "by-another-key"
    public = {"keys": [keys()["RS256"].as_dict(private=False)]}
    register(idp, client_id=name, jwks=public, token_endpoint_auth_method="private_key_jwt")
    with pytest.raises(Denied) as refused:
        own_token(idp, Client(name, "private_key_jwt", key=Vouching(pem(keys()["RS256"]))))
    assert refused.value.code == "invalid_client"


def rsa_of(bits: int) -> str:
    key = rsa.generate_private_key(65537, bits)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def curve_of(curve: ec.EllipticCurve) -> str:
    key = ec.generate_private_key(curve)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@pytest.mark.parametrize(
    "key",
    [
        "",
        "canary",
        "{",
        "[]",
        "{}",
        '{"kty": "RSA", "n": "AQAB", "e": "AQAB"}',
        rsa_of(1024),
        json.dumps({"kty": "RSA", "n": "A" * 200, "e": "AQAB", "d": "AQAB"}),
        curve_of(ec.SECP256K1()),
        RSAKey.generate_key(2048).as_pem(private=False).decode(),
        json.dumps(ECKey.generate_key("P-256").as_dict(private=False)),
        json.dumps(OctKey.generate_key(256).as_dict(private=True)),
        OKPKey.generate_key("Ed25519").as_pem(private=True).decode(),
    ],
    ids=range(13),  # not after keys that are new in each process
)
def test_a_key_that_cannot_sign_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(Denied) as refused:
        Vouching(Secret(key))
    assert refused.value.code == "unusable_key"
    assert refused.value.__context__ is None or "canary" not in str(refused.value.__context__)


@pytest.mark.parametrize(
    ("code", "parts"),
    [
        ("unknown_method", ("a", "client_secret_jwt")),
        ("invalid_client_id", ("", "none")),
        ("invalid_client_id", ("a\n", "none")),
        ("client_secret", ("a", "client_secret_basic")),
        ("client_secret", ("a", "none", Secret("canary"))),
        ("client_key", ("a", "private_key_jwt")),
        ("invalid_client_secret", ("a", "client_secret_post", Secret("canary\n"))),
        ("invalid_client_secret", ("a", "client_secret_post", Secret(""))),
        ("invalid_client_secret", ("a", "client_secret_post", Secret("\ud800"))),
    ],
)
def test_a_client_whose_parts_do_not_fit_is_refused(code: str, parts: tuple[Any, ...]) -> None:
    with pytest.raises(Denied) as refused:
        Client(*parts)
    assert refused.value.code == code
    assert "canary" not in str(refused.value)


# Grants


def test_a_refresh_rotates_and_what_was_spent_is_refused(idp: Provider) -> None:
    first = idp.consent()["refresh_token"]
    mine = grants(idp)
    second = granted(asking().post(*mine.refresh(Secret(first))), SCOPE)
    assert second.refresh is not None
    assert second.refresh != Secret(first)
    third = granted(asking().post(*mine.refresh(second.refresh, SCOPE)), SCOPE)
    assert third.refresh is not None
    with pytest.raises(Denied) as refused:
        granted(asking().post(*mine.refresh(Secret(first))), SCOPE)
    assert refused.value.code == "invalid_grant"
    assert [entry["outcome"] for entry in idp.log()] == ["issued", "issued", "issued", "invalid_grant"]


def test_a_code_is_redeemed(idp: Provider) -> None:
    code = idp.code()
    ask = grants(idp).redeem(Secret(code), REDIRECT, Secret("v" * 43))
    assert granted(asking().post(*ask), SCOPE).refresh is not None
    with pytest.raises(Denied) as refused:
        granted(asking().post(*ask), SCOPE)
    assert refused.value.code == "invalid_grant"


def test_we_vouch_for_a_user(idp: Provider) -> None:
    key = keys()["ES256"]
    idp.control("issuers", {"issuer": "https://us.example", "jwks": {"keys": [key.as_dict(private=False)]}})
    mine, vouching = grants(idp), Vouching(pem(key), "one")
    found = granted(
        asking().post(*mine.jwt_bearer(vouching, "https://us.example", "COMM_ACME", SCOPE)), SCOPE
    )
    assert idp.active(found.access.reveal())["sub"] == "COMM_ACME"
    with pytest.raises(Denied) as refused:
        granted(asking().post(*mine.jwt_bearer(vouching, "https://us.example", "nobody", SCOPE)), SCOPE)
    assert refused.value.code == "invalid_grant"


def test_a_device_waits_for_a_person(idp: Provider) -> None:
    mine = grants(idp, Client("encours-public", "none"))
    begun = device(asking().post(*mine.begin_device(idp.endpoints["device"], SCOPE)))
    assert begun.address == idp.endpoints["activate"]
    assert begun.address_with_code == f"{begun.address}?user_code={begun.user_code}"
    assert (begun.expires_in, begun.interval) == (600, 5)
    poll = mine.poll_device(begun.code)
    assert polled(asking().post(*poll), SCOPE, begun.interval) == 5
    assert polled(asking().post(*poll), SCOPE, begun.interval) == 10  # too soon
    form = {
        "user_code": begun.user_code,
        "username": "anna",
        "password": idp.users["anna"],
        "decision": "allow",
    }
    assert idp.session.post(begun.address, data=form, timeout=30).status_code == 200
    idp.control("clock", {"forward": 11})
    found = polled(asking().post(*poll), SCOPE, begun.interval)
    assert isinstance(found, Granted)
    assert idp.active(found.access.reveal())["sub"] == "anna"


def test_a_person_refuses_a_device(idp: Provider) -> None:
    mine = grants(idp)
    begun = device(asking().post(*mine.begin_device(idp.endpoints["device"], NONE)))  # an empty form
    form = {"user_code": begun.user_code, "decision": "deny"}
    idp.session.post(begun.address, data=form, timeout=30)
    with pytest.raises(Denied) as refused:
        polled(asking().post(*mine.poll_device(begun.code)), SCOPE, begun.interval)
    assert refused.value.code == "access_denied"


def test_a_token_is_looked_up_and_revoked(idp: Provider) -> None:
    mine = grants(idp)
    found = granted(asking().post(*mine.refresh(Secret(idp.consent()["refresh_token"]))), SCOPE)
    ask = mine.introspect(idp.endpoints["introspect"], found.access, "access_token")
    said = introspected(asking().post(*ask))
    assert (said.active, said.scope, said.subject, said.client_id) == (True, SCOPE, "anna", "encours-basic")
    assert said.expires_at is not None
    assert found.refresh is not None
    revoked(asking().post(*mine.revoke(idp.endpoints["revoke"], found.refresh, "refresh_token")))
    revoked(asking().post(*mine.revoke(idp.endpoints["revoke"], Secret("unknown"), "refresh_token")))
    assert not introspected(asking().post(*ask)).active
    (one, other) = idp.log("revoke")
    assert (one["outcome"], other["outcome"]) == ("revoked", "nothing to revoke")


def test_what_was_not_revoked_is_said(idp: Provider) -> None:
    token = Secret(idp.consent()["refresh_token"])
    with pytest.raises(Denied) as refused:
        revoked(
            asking().post(*grants(idp, post(idp)).revoke(idp.endpoints["revoke"], token, "refresh_token"))
        )
    assert refused.value.code == "invalid_grant"  # it was issued to another client
    assert granted(asking().post(*grants(idp).refresh(token)), SCOPE).refresh is not None


def test_a_named_user_is_sent_where_the_provider_needs_one(idps: Idps) -> None:
    idp = idps("--profile", "intacct-like")
    mine = grants(idp, post(idp))
    ask = mine.client_credentials(frozenset({"offline_access"}), {"username": "api_reader@globex"})
    found = granted(asking().post(*ask), frozenset({"offline_access"}))
    assert found.refresh is not None
    assert found.expires_in == 43_200
    assert idp.log()[-1]["subject"] == "api_reader@globex"


def test_a_wrong_secret_is_refused_with_the_providers_code(idp: Provider) -> None:
    wrong = Client(basic(idp).id, "client_secret_basic", Secret("canary"))
    with pytest.raises(Denied, match="invalid_client") as refused:
        own_token(idp, wrong)
    assert refused.value.code == "invalid_client"
