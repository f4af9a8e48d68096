"""A plain client of the simulated identity provider: requests and forms, nothing of the product and no OAuth library."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import random
import re
import socket
import time
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import requests

REDIRECT = "http://127.0.0.1:4711/callback"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
CLIENT_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
Form = dict[str, str]


@dataclass
class Provider:
    """A running provider, as its JSON line describes it."""

    profile: str
    control_url: str
    issuer: str
    endpoints: dict[str, str]
    clients: dict[str, dict[str, str]]
    users: dict[str, str]
    home: Path
    since: int = 0
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.session.trust_env = False

    def control(self, address: str, wish: dict[str, Any] | None = None, *, method: str = "") -> Any:
        way = method or ("GET" if wish is None else "POST")
        url = f"{self.control_url}/_sandbox/{address}"
        with requests.Session() as session:
            session.trust_env = False
            answer = session.request(way, url, json=wish, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def well(self) -> None:
        """Takes back what was commanded."""
        self.control("misbehave", method="DELETE")
        self.control("outage", {})
        self.control("latency", {})

    def log(self, endpoint: str = "token") -> list[dict[str, Any]]:
        entries = self.control(f"log?since={self.since}")["requests"]
        return [entry for entry in entries if entry["endpoint"] == endpoint]

    def basic(self, client: str = "encours-basic") -> tuple[str, str]:
        """Name and secret, encoded as in a form."""
        return quote(client, safe=""), quote(self.clients[client]["secret"], safe="")

    def post(self, endpoint: str, form: Form, *, client: str = "encours-basic") -> requests.Response:
        """Post a form, signed in as a client; an empty client does not sign in."""
        auth = self.basic(client) if client else None
        return self.session.post(
            self.endpoints[endpoint], data=form, auth=auth, timeout=30, allow_redirects=False
        )

    def token(self, form: Form, *, client: str = "encours-basic") -> dict[str, Any]:
        answer = self.post("token", form, client=client)
        assert answer.status_code == 200, answer.text
        return answer.json()  # type: ignore[no-any-return]

    def error(self, form: Form, *, client: str = "encours-basic", status: int = 400) -> str:
        answer = self.post("token", form, client=client)
        assert answer.status_code == status, answer.text
        return str(answer.json()["error"])

    def authorize(self, **changes: str) -> requests.Response:
        """Ask for authorization; an empty value leaves a parameter out."""
        asked = {
            "response_type": "code",
            "client_id": "encours-basic",
            "redirect_uri": REDIRECT,
            "scope": "openid offline_access",
            "state": "a state",
            "nonce": "a nonce",
            "code_challenge": challenge("v" * 43),
            "code_challenge_method": "S256",
        } | changes
        params = {name: value for name, value in asked.items() if value}
        return self.session.get(self.endpoints["authorize"], params=params, timeout=30, allow_redirects=False)

    def decide(
        self, page: requests.Response, *, user: str = "anna", decision: str = "allow"
    ) -> requests.Response:
        """Sign in on a page and decide."""
        found = re.search(r'name="ticket" value="([^"]+)"', page.text)
        assert found, page.text
        form = {
            "ticket": unescape(found[1]),
            "username": user,
            "password": self.users[user],
            "decision": decision,
        }
        return self.session.post(self.endpoints["authorize"], data=form, timeout=30, allow_redirects=False)

    def code(self, *, user: str = "anna", **changes: str) -> str:
        """Get an authorization code."""
        returned = back(self.decide(self.authorize(**changes), user=user))
        return returned["code"]

    def redeem(self, code: str, **changes: str) -> Form:
        """The form that redeems a code."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT,
            "code_verifier": "v" * 43,
        }
        return form | changes

    def consent(self, *, user: str = "anna", client: str = "encours-basic", **changes: str) -> dict[str, Any]:
        """Get tokens by a code."""
        code = self.code(user=user, client_id=client, **changes)
        return self.token(self.redeem(code), client=client)

    def active(self, token: str) -> dict[str, Any]:
        answer = self.post("introspect", {"token": token})
        assert answer.status_code == 200, answer.text
        return answer.json()  # type: ignore[no-any-return]


def back(answer: requests.Response) -> dict[str, str]:
    """What the browser is sent back with."""
    assert answer.status_code == 303, answer.text
    location = answer.headers["Location"]
    assert location.startswith(f"{REDIRECT}?")
    return dict(parse_qsl(urlsplit(location).query))


def challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def renewal(token: str, **more: str) -> Form:
    return {"grant_type": "refresh_token", "refresh_token": token} | more


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def vouched(idp: Provider, **changes: Any) -> dict[str, Any]:
    """The claims of an assertion for the provider, by default of the client by-key; None leaves one out."""
    now = int(time.time())
    jti = f"{time.monotonic_ns()}"
    claims = {"iss": "by-key", "sub": "by-key", "aud": idp.issuer, "iat": now, "exp": now + 60, "jti": jti}
    return {name: value for name, value in (claims | changes).items() if value is not None}


def two_free_ports() -> int:
    """A free port whose next is free as well, below those that systems give to clients."""
    for port in random.sample(range(20_000, 32_000, 2), 100):
        with contextlib.suppress(OSError), socket.socket() as one, socket.socket() as next_one:
            one.bind(("127.0.0.1", port))
            next_one.bind(("127.0.0.1", port + 1))
            return port
    raise AssertionError("no two free ports")
