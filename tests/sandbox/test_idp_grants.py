"""The provider's grants, against the RFCs' rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import jwt
import pytest
from joserfc.jwk import RSAKey

from tests.sandbox.idp_client import DEVICE_CODE, JWT_BEARER, Form, Provider, back, challenge, vouched

if TYPE_CHECKING:
    from tests.sandbox.idps import Idps

OWN: Form = {"grant_type": "client_credentials"}


@pytest.fixture(scope="module")
def idp(idps: Idps) -> Provider:
    return idps()


def without_empty(form: Form) -> Form:
    return {name: value for name, value in form.items() if value}


# RFC 6749, 4.1 with RFC 7636 and RFC 9207


def test_a_code_is_answered_with_state_and_issuer_and_redeemed(idp: Provider) -> None:
    page = idp.authorize()
    assert page.status_code == 200
    assert page.headers["Cache-Control"] == "no-store"
    returned = back(idp.decide(page))
    assert (returned["state"], returned["iss"]) == ("a state", idp.issuer)
    answer = idp.post("token", idp.redeem(returned["code"]))
    assert answer.headers["Cache-Control"] == "no-store"
    told = answer.json()
    assert told["token_type"] == "Bearer"
    assert told["expires_in"] == 3600
    assert told["scope"] == "openid offline_access"
    assert idp.active(told["access_token"])["sub"] == "anna"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": ""}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge": "v" * 43, "code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": ""}, "invalid_request"),
        ({"scope": "everything"}, "invalid_scope"),
        ({"prompt": "none"}, "login_required"),
    ],
)
def test_a_wrong_request_goes_back_with_its_reason(idp: Provider, changes: Form, error: str) -> None:
    returned = back(idp.authorize(**changes))
    assert returned["error"] == error
    assert (returned["state"], returned["iss"]) == ("a state", idp.issuer)
    assert "code" not in returned


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "nobody"},
        {"client_id": ""},
        {"redirect_uri": "http://127.0.0.1:4711/elsewhere"},
        {"redirect_uri": "http://elsewhere.example/callback"},
        {"redirect_uri": "http://127.0.0.1.elsewhere.example/callback"},
        {"redirect_uri": "https://127.0.0.1:4711/callback"},
        {"redirect_uri": ""},
    ],
)
def test_nothing_is_sent_to_an_address_that_is_not_registered(idp: Provider, changes: Form) -> None:
    """RFC 6749, 4.1.2.1."""
    answer = idp.authorize(**changes)
    assert answer.status_code == 400
    assert "Location" not in answer.headers


def test_a_refusing_user_goes_back_with_access_denied(idp: Provider) -> None:
    returned = back(idp.decide(idp.authorize(), decision="deny"))
    assert returned == {"error": "access_denied", "state": "a state", "iss": idp.issuer}


def test_a_wrong_password_gives_the_page_again_and_a_form_is_good_once(idp: Provider) -> None:
    page = idp.authorize()
    right, idp.users["anna"] = idp.users["anna"], "wrong"
    again = idp.decide(page)
    assert again.status_code == 401
    idp.users["anna"] = right
    assert "code" in back(idp.decide(again))
    assert idp.decide(again).status_code == 400


def test_words_of_a_request_are_escaped_on_the_page(idp: Provider) -> None:
    idp.control("clients", {"client_id": "<script>", "token_endpoint_auth_method": "none"})
    page = idp.authorize(client_id="<script>")
    assert page.status_code == 200
    assert "<script>" not in page.text


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": "w" * 43}, "invalid_grant"),
        ({"code_verifier": "short"}, "invalid_grant"),
        ({"code_verifier": ""}, "invalid_request"),
        ({"redirect_uri": "http://127.0.0.1:4712/callback"}, "invalid_grant"),
        ({"redirect_uri": ""}, "invalid_grant"),
        ({"code": "made up"}, "invalid_grant"),
        ({"code": ""}, "invalid_request"),
    ],
)
def test_a_code_is_redeemed_with_what_it_was_asked_for(idp: Provider, changes: Form, error: str) -> None:
    code = idp.code()
    assert idp.error(without_empty(idp.redeem(code) | changes)) == error
    idp.token(idp.redeem(code))


def test_a_verifier_that_is_too_short_is_refused(idp: Provider) -> None:
    """RFC 7636, 4.1."""
    code = idp.code(code_challenge=challenge("short"))
    assert idp.error(idp.redeem(code, code_verifier="short")) == "invalid_grant"


def test_a_code_is_good_for_its_client_only(idp: Provider) -> None:
    code = idp.code()
    form = idp.redeem(code, client_id="encours-public")
    assert idp.error(form, client="") == "invalid_grant"


def test_a_code_used_twice_ends_what_it_gave(idp: Provider) -> None:
    """RFC 6749, 4.1.2."""
    code = idp.code()
    first = idp.token(idp.redeem(code))
    assert idp.active(first["access_token"])["active"]
    assert idp.error(idp.redeem(code)) == "invalid_grant"
    assert idp.active(first["access_token"]) == {"active": False}
    assert (
        idp.error({"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}) == "invalid_grant"
    )


def test_a_code_expires(start_idp: Idps) -> None:
    idp = start_idp("--set", "code_seconds=60")
    code = idp.code()
    idp.control("clock", {"forward": 60})
    assert idp.error(idp.redeem(code)) == "invalid_grant"


def test_a_public_client_redeems_without_a_secret(idp: Provider) -> None:
    code = idp.code(client_id="encours-public")
    told = idp.token(idp.redeem(code, client_id="encours-public"), client="")
    assert idp.active(told["access_token"])["client_id"] == "encours-public"


# RFC 6749, 3.2 and 5.2


@pytest.mark.parametrize(
    ("body", "media_type", "error"),
    [
        (
            "grant_type=client_credentials&grant_type=client_credentials",
            "application/x-www-form-urlencoded",
            "invalid_request",
        ),
        ("", "application/x-www-form-urlencoded", "invalid_request"),
        ("grant_type=", "application/x-www-form-urlencoded", "invalid_request"),
        (
            "grant_type=password&username=anna&password=x",
            "application/x-www-form-urlencoded",
            "unsupported_grant_type",
        ),
        ('{"grant_type": "client_credentials"}', "application/json", "invalid_request"),
        (b"grant_type=\xff", "application/x-www-form-urlencoded", "invalid_request"),
    ],
)
def test_a_malformed_request_is_refused(
    idp: Provider, body: str | bytes, media_type: str, error: str
) -> None:
    answer = idp.session.post(
        idp.endpoints["token"], data=body, headers={"Content-Type": media_type}, auth=idp.basic(), timeout=30
    )
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert answer.headers["Cache-Control"] == "no-store"


def test_only_a_post_gets_a_token(idp: Provider) -> None:
    answer = idp.session.get(idp.endpoints["token"], params=OWN, auth=idp.basic(), timeout=30)
    assert answer.status_code == 405


def test_a_client_has_only_the_grants_that_it_registered(idp: Provider) -> None:
    wish = {
        "client_id": "codes-only",
        "token_endpoint_auth_method": "client_secret_basic",
        "client_secret": "s",
        "grant_types": ["authorization_code"],
    }
    idp.control("clients", wish)
    idp.clients["codes-only"] = {"secret": "s"}
    assert idp.error(OWN, client="codes-only") == "unauthorized_client"


# RFC 7523, 2.1


@pytest.fixture(scope="module")
def partner(idp: Provider) -> RSAKey:
    key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
    idp.control(
        "issuers", {"issuer": "https://partner.example", "jwks": {"keys": [key.as_dict(private=False)]}}
    )
    return key


def test_a_trusted_issuer_vouches_for_a_user(idp: Provider, partner: RSAKey) -> None:
    claims = vouched(idp, iss="https://partner.example", sub="COMM_ACME")
    assertion = jwt.encode(claims, partner.as_pem(private=True), "RS256", headers={"kid": "one"})
    form = {"grant_type": JWT_BEARER, "assertion": assertion, "scope": "API_BUSINESS_PARTNER_0001"}
    told = idp.token(form)
    assert "refresh_token" not in told
    assert idp.active(told["access_token"])["sub"] == "COMM_ACME"
    assert idp.error(form) == "invalid_grant"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://stranger.example"},
        {"sub": "nobody"},
        {"aud": "https://elsewhere.example"},
        {"exp": 1},
        {"exp": None},
    ],
)
def test_an_assertion_that_vouches_for_nobody_is_refused(
    idp: Provider, partner: RSAKey, changes: dict[str, Any]
) -> None:
    claims = vouched(idp, **({"iss": "https://partner.example", "sub": "COMM_ACME"} | changes))
    assertion = jwt.encode(claims, partner.as_pem(private=True), "RS256", headers={"kid": "one"})
    assert idp.error({"grant_type": JWT_BEARER, "assertion": assertion}) == "invalid_grant"


# RFC 8628


@pytest.fixture
def device(start_idp: Idps) -> tuple[Provider, dict[str, Any], Form]:
    idp = start_idp()
    answer = idp.post("device", {"client_id": "encours-public", "scope": "openid"}, client="")
    assert answer.status_code == 200
    told = answer.json()
    poll = {"grant_type": DEVICE_CODE, "device_code": told["device_code"], "client_id": "encours-public"}
    return idp, told, poll


def enter(idp: Provider, user_code: str, decision: str) -> int:
    form = {"user_code": user_code, "username": "anna", "password": idp.users["anna"], "decision": decision}
    return idp.session.post(idp.endpoints["activate"], data=form, timeout=30).status_code


def test_a_device_waits_for_its_user(device: tuple[Provider, dict[str, Any], Form]) -> None:
    idp, told, poll = device
    assert told["verification_uri"] == idp.endpoints["activate"]
    assert dict(parse_qsl(urlsplit(told["verification_uri_complete"]).query)) == {
        "user_code": told["user_code"]
    }
    assert (told["expires_in"], told["interval"]) == (600, 5)
    assert idp.error(poll, client="") == "authorization_pending"
    assert told["user_code"] in idp.session.get(told["verification_uri_complete"], timeout=30).text
    assert enter(idp, told["user_code"].lower().replace("-", " "), "allow") == 200
    idp.control("clock", {"forward": 5})
    tokens = idp.token(poll, client="")
    assert idp.active(tokens["access_token"])["sub"] == "anna"
    assert "refresh_token" in tokens
    idp.control("clock", {"forward": 5})
    assert idp.error(poll, client="") == "invalid_grant"


def test_a_device_that_asks_too_often_must_slow_down(device: tuple[Provider, dict[str, Any], Form]) -> None:
    """RFC 8628, 3.5: five seconds more, for this and all later requests."""
    idp, _, poll = device
    assert idp.error(poll, client="") == "authorization_pending"
    assert idp.error(poll, client="") == "slow_down"
    idp.control("clock", {"forward": 6})
    assert idp.error(poll, client="") == "slow_down"
    idp.control("clock", {"forward": 15})
    assert idp.error(poll, client="") == "authorization_pending"


def test_a_user_refuses_a_device(device: tuple[Provider, dict[str, Any], Form]) -> None:
    idp, told, poll = device
    assert enter(idp, told["user_code"], "deny") == 200
    assert idp.error(poll, client="") == "access_denied"


def test_a_device_code_expires(device: tuple[Provider, dict[str, Any], Form]) -> None:
    idp, told, poll = device
    idp.control("clock", {"forward": 600})
    assert enter(idp, told["user_code"], "allow") == 400
    assert idp.error(poll, client="") == "expired_token"


def test_a_device_code_is_good_for_its_client_only(device: tuple[Provider, dict[str, Any], Form]) -> None:
    idp, _, poll = device
    del poll["client_id"]
    assert idp.error(poll) == "invalid_grant"


def test_the_challenge_of_the_rfc(idp: Provider) -> None:
    """RFC 7636, appendix B."""
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    code = idp.code(code_challenge="E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
    idp.token(idp.redeem(code, code_verifier=verifier))
