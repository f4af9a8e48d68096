"""How clients sign in at the provider: secrets, keys, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jwt
import pytest
from joserfc.jwk import ECKey

from tests.sandbox.idp_client import CLIENT_ASSERTION, Form, Provider, vouched

if TYPE_CHECKING:
    from tests.sandbox.idps import Idps

OWN: Form = {"grant_type": "client_credentials"}
KEY = ECKey.generate_key("P-256", {"kid": "one", "use": "sig", "alg": "ES256"})


@pytest.fixture(scope="module")
def idp(idps: Idps) -> Provider:
    return idps()


@pytest.fixture(scope="module")
def key_client(idp: Provider) -> str:
    wish = {
        "client_id": "by-key",
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": {"keys": [KEY.as_dict(private=False)]},
    }
    return str(idp.control("clients", wish)["client_id"])


def signed(claims: dict[str, Any], key: ECKey = KEY, algorithm: str = "ES256") -> str:
    """Sign by a library that the provider does not use."""
    return jwt.encode(claims, key.as_pem(private=True), algorithm, headers={"kid": "one"})


def by_key(assertion: str) -> Form:
    return OWN | {"client_assertion_type": CLIENT_ASSERTION, "client_assertion": assertion}


def test_a_client_gets_a_token_of_its_own_and_no_refresh_token(idp: Provider) -> None:
    told = idp.token(OWN)
    assert "refresh_token" not in told
    assert "id_token" not in told
    assert idp.active(told["access_token"])["sub"] == "encours-basic"


def test_a_scope_is_narrowed_and_never_widened(idp: Provider) -> None:
    narrow = idp.token(OWN | {"scope": "API_BUSINESS_PARTNER_0001"})
    assert narrow["scope"] == "API_BUSINESS_PARTNER_0001"
    assert idp.active(narrow["access_token"])["scope"] == "API_BUSINESS_PARTNER_0001"
    assert idp.error(OWN | {"scope": "API_BUSINESS_PARTNER_0001 everything"}) == "invalid_scope"


def test_a_secret_in_the_form(idp: Provider) -> None:
    secret = idp.clients["encours-post"]["secret"]
    told = idp.token(OWN | {"client_id": "encours-post", "client_secret": secret}, client="")
    assert idp.active(told["access_token"])["client_id"] == "encours-post"


def test_a_secret_with_every_sign_is_encoded_before_it_is_joined(idp: Provider) -> None:
    """RFC 6749, 2.3.1 and appendix B."""
    secret = "a:b+c %20é/"
    wish = {
        "client_id": "odd:name",
        "token_endpoint_auth_method": "client_secret_basic",
        "client_secret": secret,
    }
    idp.control("clients", wish)
    idp.clients["odd:name"] = {"secret": secret}
    assert idp.active(idp.token(OWN, client="odd:name")["access_token"])["client_id"] == "odd:name"


@pytest.mark.parametrize(
    ("form", "auth", "status", "error"),
    [
        ({}, ("encours-basic", "wrong"), 401, "invalid_client"),
        ({}, ("nobody", "wrong"), 401, "invalid_client"),
        ({}, None, 401, "invalid_client"),
        ({"client_id": "encours-basic"}, None, 401, "invalid_client"),
        ({"client_id": "encours-public"}, None, 400, "unauthorized_client"),
        ({"client_id": "encours-post", "client_secret": "wrong"}, None, 401, "invalid_client"),
        ({"client_secret": "x"}, ("encours-basic", "x"), 400, "invalid_request"),
        ({"client_id": "encours-post"}, ("encours-basic", "x"), 400, "invalid_request"),
        ({"client_id": "by-key", "client_secret": "x"}, None, 401, "invalid_client"),
    ],
)
@pytest.mark.usefixtures("key_client")
def test_a_client_that_does_not_sign_in_is_refused(
    idp: Provider, form: Form, auth: tuple[str, str] | None, status: int, error: str
) -> None:
    answer = idp.session.post(idp.endpoints["token"], data=OWN | form, auth=auth, timeout=30)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert ("WWW-Authenticate" in answer.headers) == (status == 401 and auth is not None)


def test_a_secret_sent_in_another_way_than_registered_is_refused(idp: Provider) -> None:
    secret = idp.clients["encours-basic"]["secret"]
    form = OWN | {"client_id": "encours-basic", "client_secret": secret}
    assert idp.error(form, client="", status=401) == "invalid_client"


@pytest.mark.parametrize("audience", ["issuer", "token endpoint"])
def test_a_client_signs_in_by_its_key(idp: Provider, key_client: str, audience: str) -> None:
    named = idp.issuer if audience == "issuer" else idp.endpoints["token"]
    told = idp.token(by_key(signed(vouched(idp, aud=named))), client="")
    assert idp.active(told["access_token"])["client_id"] == key_client


def test_an_assertion_is_good_once(idp: Provider, key_client: str) -> None:
    form = by_key(signed(vouched(idp)))
    idp.token(form, client="")
    assert idp.error(form, client="", status=401) == "invalid_client"


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://elsewhere.example"},
        {"aud": None},
        {"exp": 1},
        {"exp": None},
        {"exp": 4_000_000_000},
        {"sub": "encours-basic"},
        {"sub": None},
        {"iss": "encours-basic"},
        {"iss": None},
        {"nbf": 4_000_000_000},
    ],
)
def test_an_assertion_that_proves_nothing_is_refused(
    idp: Provider, key_client: str, changes: dict[str, Any]
) -> None:
    assert idp.error(by_key(signed(vouched(idp, **changes))), client="", status=401) == "invalid_client"


def test_an_assertion_of_another_key_is_refused(idp: Provider, key_client: str) -> None:
    other = ECKey.generate_key("P-256", {"kid": "one"})
    assert idp.error(by_key(signed(vouched(idp), other)), client="", status=401) == "invalid_client"
    unsigned = jwt.encode(vouched(idp), "", "none")
    assert idp.error(by_key(unsigned), client="", status=401) == "invalid_client"
    assert idp.error(by_key("no.jwt"), client="", status=401) == "invalid_client"
