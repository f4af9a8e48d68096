"""Discovery, keys, ID tokens, introspection and revocation, checked by a library that the provider does not use."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oidc.discovery import OpenIDProviderMetadata

from tests.sandbox.idp_client import Provider, renewal

if TYPE_CHECKING:
    from tests.sandbox.idps import Idps

WELL_KNOWN = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")


@pytest.fixture(scope="module")
def idp(idps: Idps) -> Provider:
    return idps("--set", "access_token=jwt")


def metadata(idp: Provider, address: str) -> dict[str, Any]:
    answer = idp.session.get(idp.issuer + address, timeout=30)
    assert answer.status_code == 200
    return answer.json()  # type: ignore[no-any-return]


def keys(idp: Provider) -> dict[str, Any]:
    return metadata(idp, "/jwks")


def read(idp: Provider, token: str, audience: str) -> dict[str, Any]:
    """Verify a JWT by PyJWT with the one key that its header names."""
    header = jwt.get_unverified_header(token)
    (key,) = [key for key in keys(idp)["keys"] if key["kid"] == header["kid"]]
    claims: dict[str, Any] = jwt.decode(
        token, jwt.PyJWK(key), [key["alg"]], audience=audience, issuer=idp.issuer, leeway=5
    )
    return claims


@pytest.mark.parametrize("address", WELL_KNOWN)
def test_metadata_names_every_endpoint(idp: Provider, address: str) -> None:
    """RFC 8414, 2; OpenID Connect Discovery, 3; RFC 9207, 3; RFC 8628, 4."""
    told = metadata(idp, address)
    assert told["issuer"] == idp.issuer
    for name, endpoint in (
        ("authorization_endpoint", "authorize"),
        ("token_endpoint", "token"),
        ("jwks_uri", "jwks"),
        ("introspection_endpoint", "introspect"),
        ("revocation_endpoint", "revoke"),
        ("device_authorization_endpoint", "device"),
    ):
        assert told[name] == idp.endpoints[endpoint]
    assert told["code_challenge_methods_supported"] == ["S256"]
    assert told["authorization_response_iss_parameter_supported"] is True


def test_metadata_holds_by_authlibs_rules(idp: Provider) -> None:
    """authlib asks for https addresses, which a test on this machine need not have."""
    for kind, address in zip((AuthorizationServerMetadata, OpenIDProviderMetadata), WELL_KNOWN, strict=True):
        told = {
            name: value.replace("http:", "https:") if isinstance(value, str) else value
            for name, value in metadata(idp, address).items()
        }
        kind(told).validate()


def test_a_profile_may_have_no_metadata(start_idp: Idps) -> None:
    idp = start_idp("--profile", "sap-like")
    for address in WELL_KNOWN:
        assert idp.session.get(idp.issuer + address, timeout=30).status_code == 404
    assert idp.endpoints["token"] == f"{idp.issuer}/sap/bc/sec/oauth2/token"


def test_no_private_part_of_a_key_is_published(idp: Provider) -> None:
    for key in keys(idp)["keys"]:
        assert {"d", "p", "q", "dp", "dq", "qi", "k"} & key.keys() == set()
        assert key["use"] == "sig"
    assert {key["alg"] for key in keys(idp)["keys"]} == {"RS256", "ES256"}


def test_an_id_token_says_who_signed_in(idp: Provider) -> None:
    """OpenID Connect Core, 2 and 3.1.3.7."""
    before = int(time.time())
    told = idp.consent()
    claims = read(idp, told["id_token"], "encours-basic")
    assert (claims["sub"], claims["nonce"], claims["iss"]) == ("anna", "a nonce", idp.issuer)
    assert before <= claims["auth_time"] <= claims["iat"] < claims["exp"]
    assert jwt.get_unverified_header(told["id_token"])["alg"] == "RS256"


def test_a_renewed_id_token_has_no_nonce(idp: Provider) -> None:
    """OpenID Connect Core, 12.2."""
    first = idp.consent()
    second = idp.token(renewal(first["refresh_token"]))
    claims = read(idp, second["id_token"], "encours-basic")
    assert "nonce" not in claims
    assert claims["auth_time"] == read(idp, first["id_token"], "encours-basic")["auth_time"]


def test_an_id_token_is_for_those_that_ask(idp: Provider) -> None:
    assert "id_token" not in idp.consent(scope="offline_access")


def test_a_client_may_have_its_id_tokens_signed_by_es256(idp: Provider) -> None:
    wish = {
        "client_id": "curves",
        "token_endpoint_auth_method": "client_secret_basic",
        "client_secret": "s",
        "id_token_signed_response_alg": "ES256",
    }
    idp.control("clients", wish)
    idp.clients["curves"] = {"secret": "s"}
    told = idp.consent(client="curves")
    assert jwt.get_unverified_header(told["id_token"])["alg"] == "ES256"
    assert read(idp, told["id_token"], "curves")["sub"] == "anna"


def test_an_access_token_is_a_jwt_of_its_own_type(idp: Provider) -> None:
    """RFC 9068, 2."""
    token = idp.token({"grant_type": "client_credentials", "scope": "openid"})["access_token"]
    assert jwt.get_unverified_header(token)["typ"] == "at+jwt"
    claims = read(idp, token, "https://erp.example")
    assert (claims["client_id"], claims["scope"]) == ("encours-basic", "openid")
    assert claims["exp"] == claims["iat"] + 3600
    assert idp.active(token)["jti"] == claims["jti"]


def test_an_opaque_access_token_says_nothing(start_idp: Idps) -> None:
    token = start_idp().token({"grant_type": "client_credentials"})["access_token"]
    assert "." not in token


def test_keys_rotate(start_idp: Idps) -> None:
    idp = start_idp("--set", "access_token=jwt")
    old = idp.consent()["id_token"]
    first = {key["kid"] for key in keys(idp)["keys"]}
    idp.control("keys", {})
    second = {key["kid"] for key in keys(idp)["keys"]}
    assert first < second
    read(idp, old, "encours-basic")
    new = idp.consent()["id_token"]
    assert jwt.get_unverified_header(new)["kid"] in second - first
    read(idp, new, "encours-basic")
    idp.control("keys", {"keep_old": False})
    assert second & {key["kid"] for key in keys(idp)["keys"]} == set()


# RFC 7662


def test_introspection_describes_a_live_token(idp: Provider) -> None:
    told = idp.consent()
    described = idp.active(told["access_token"])
    assert described["active"] is True
    assert described["scope"] == "openid offline_access"
    assert (described["client_id"], described["sub"]) == ("encours-basic", "anna")
    assert described["exp"] == described["iat"] + 3600
    assert idp.active(told["refresh_token"])["active"] is True


def test_introspection_tells_nothing_of_a_dead_token(idp: Provider) -> None:
    told = idp.consent()
    idp.token(renewal(told["refresh_token"]))
    for token in ("made up", told["refresh_token"]):
        assert idp.active(token) == {"active": False}


def test_introspection_needs_a_client(idp: Provider) -> None:
    assert idp.post("introspect", {"token": "x"}, client="").status_code == 401


# RFC 7009


def test_revoking_an_access_token_leaves_the_refresh_token(idp: Provider) -> None:
    told = idp.consent()
    assert idp.post("revoke", {"token": told["access_token"]}).status_code == 200
    assert not idp.active(told["access_token"])["active"]
    idp.token(renewal(told["refresh_token"]))


def test_revoking_a_refresh_token_ends_its_access_tokens(idp: Provider) -> None:
    told = idp.consent()
    hint = {"token_type_hint": "access_token"}  # a wrong hint changes nothing (RFC 7009, 2.1)
    assert idp.post("revoke", {"token": told["refresh_token"]} | hint).status_code == 200
    assert not idp.active(told["access_token"])["active"]
    assert idp.error(renewal(told["refresh_token"])) == "invalid_grant"
    assert idp.post("revoke", {"token": told["refresh_token"]}).status_code == 200


def test_revoking_what_is_not_known_is_well(idp: Provider) -> None:
    """RFC 7009, 2.2."""
    assert idp.post("revoke", {"token": "made up"}).status_code == 200


def test_a_token_of_another_client_is_not_revoked(idp: Provider) -> None:
    told = idp.consent()
    form = {"token": told["refresh_token"], "client_id": "encours-public"}
    assert idp.post("revoke", form, client="").status_code == 400
    idp.token(renewal(told["refresh_token"]))
