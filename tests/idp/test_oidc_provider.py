"""A certified provider answers a plain client: what later tests of the token authority build on."""

from __future__ import annotations

import base64
import hashlib
import re
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urljoin, urlsplit

import jwt
import pytest
import requests

if TYPE_CHECKING:
    from tests.idp.conftest import Certified

pytestmark = pytest.mark.idp

VERIFIER = "v" * 43
REDIRECT = "http://127.0.0.1:4711/callback"


def submit(certified: Certified, page: requests.Response, **fields: str) -> requests.Response:
    """Send the form of a page of the provider's."""
    action = re.search(r'<form[^>]*action="([^"]+)"', page.text)
    prompt = re.search(r'name="prompt" value="([^"]+)"', page.text)
    assert action is not None, page.text
    assert prompt is not None, page.text
    url = urljoin(page.url, unescape(action[1]))
    form = {"prompt": prompt[1], **fields}
    return certified.session.post(url, data=form, timeout=30, allow_redirects=False)


def follow(certified: Certified, answer: requests.Response) -> requests.Response:
    """Follow redirects within the provider."""
    while answer.is_redirect and answer.headers["Location"].startswith((certified.issuer, "/")):
        url = urljoin(answer.url, answer.headers["Location"])
        answer = certified.session.get(url, timeout=30, allow_redirects=False)
    return answer


def consent(certified: Certified) -> dict[str, str]:
    """Sign in and agree on the provider's own pages; gives what the browser comes back with."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
    asked = {
        "response_type": "code",
        "client_id": certified.client_id,
        "redirect_uri": REDIRECT,
        "scope": "openid offline_access",
        "prompt": "consent",
        "state": "a state",
        "nonce": "a nonce",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    url = f"{certified.issuer}/auth"
    page = follow(certified, certified.session.get(url, params=asked, timeout=30, allow_redirects=False))
    page = follow(certified, submit(certified, page, login="anna", password="any"))
    back = follow(certified, submit(certified, page))
    assert back.headers["Location"].startswith(f"{REDIRECT}?"), back.text
    return dict(parse_qsl(urlsplit(back.headers["Location"]).query))


def test_a_client_gets_a_token_of_its_own(certified: Certified) -> None:
    answer = certified.token(grant_type="client_credentials", scope="receivables.read")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["token_type"], told["expires_in"], told["scope"]) == ("Bearer", 60, "receivables.read")
    assert certified.calls(1) == [("issued", "client_credentials")]


def test_a_refresh_token_is_good_once_and_its_reuse_ends_the_grant(certified: Certified) -> None:
    returned = consent(certified)
    assert (returned["state"], returned["iss"]) == ("a state", certified.issuer)
    redeem = {"grant_type": "authorization_code", "redirect_uri": REDIRECT, "code_verifier": VERIFIER}
    answer = certified.token(code=returned["code"], **redeem)
    assert answer.status_code == 200, answer.text
    first = answer.json()
    second = certified.token(grant_type="refresh_token", refresh_token=first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    for spent in (first, second):
        refused = certified.token(grant_type="refresh_token", refresh_token=spent["refresh_token"])
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    outcomes = [("issued", "authorization_code"), ("issued", "refresh_token")]
    assert certified.calls(4) == [*outcomes, ("refused", "refresh_token"), ("refused", "refresh_token")]


def test_an_id_token_is_verified_with_the_published_keys(certified: Certified) -> None:
    returned = consent(certified)
    redeem = {"grant_type": "authorization_code", "redirect_uri": REDIRECT, "code_verifier": VERIFIER}
    token = certified.token(code=returned["code"], **redeem).json()["id_token"]
    address = f"{certified.issuer}/.well-known/openid-configuration"
    metadata = certified.session.get(address, timeout=30).json()
    assert metadata["issuer"] == certified.issuer
    keys = certified.session.get(metadata["jwks_uri"], timeout=30).json()["keys"]
    kid = jwt.get_unverified_header(token)["kid"]
    (key,) = [key for key in keys if key["kid"] == kid]
    claims = jwt.decode(
        token, jwt.PyJWK(key), ["RS256"], audience=certified.client_id, issuer=certified.issuer, leeway=5
    )
    assert (claims["sub"], claims["nonce"]) == ("anna", "a nonce")
