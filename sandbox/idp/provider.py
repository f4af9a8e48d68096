"""The provider as a whole: which path is which endpoint, and the log of every call.

Discovery as RFC 8414 and OpenID Connect Discovery 1.0 have it. Requests are processed one at a time and the
state is written before the answer leaves. The log has digests and ids, never a token or a secret.
"""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from sandbox.idp import misbehaviour, state
from sandbox.idp.clients import SignIn, register
from sandbox.idp.consent import Consent
from sandbox.idp.exchange import Answer, OAuthError, Request, needed, refused, told
from sandbox.idp.grants import Grants
from sandbox.idp.keys import ALGORITHMS, Keys
from sandbox.idp.misbehaviour import Order, Place
from sandbox.idp.profile import Profile
from sandbox.idp.tokens import Tokens

OAUTH_METADATA = "/.well-known/oauth-authorization-server"
OIDC_METADATA = "/.well-known/openid-configuration"


class Log:
    """Every call, in memory and as JSON lines; a provider that starts again goes on counting."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self.entries: list[dict[str, Any]] = [json.loads(line) for line in lines]

    def write(self, facts: Mapping[str, Any]) -> None:
        """Append one call; the time is UTC."""
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        entry = {"number": len(self.entries) + 1, "time": moment, **facts}
        self.entries.append(entry)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")


class Provider:
    """One issuer: its profile, clients, users, keys and tokens."""

    def __init__(self, home: Path, issuer: str, trap: str, named: Profile, seed: int) -> None:
        self.issuer = issuer
        self.profile = named
        self.lock = threading.RLock()
        self.log = Log(home / "idp.jsonl")
        self.orders: list[Order] = []
        self.state = state.read(home / "idp.json")
        self.keys = Keys(self.state)
        self.users = {user: _secret(f"user {user} {seed}") for user in named.users}
        self._file = home / "idp.json"
        self._place = Place(issuer, trap, self.keys)
        self._register_usual(seed)
        self.tokens = Tokens(self.state, self.keys, issuer, self.now_profile)
        self._grants = Grants(self.state, self.tokens, self.now_profile, self.audiences())
        self._consent = Consent(self.state, issuer, self.now_profile, self.users)
        self.save()

    def now_profile(self) -> Profile:
        """Give the profile as it is at this moment: it can be changed on command."""
        return self.profile

    def audiences(self) -> tuple[str, ...]:
        """Say what an assertion for us may name: the issuer or the token endpoint (RFC 7523, 3)."""
        return (self.issuer, self.issuer + self.profile.paths.token)

    def _register_usual(self, seed: int) -> None:
        """Register one client for each way to sign in that needs no key of the client's."""
        for method, name in (
            ("client_secret_basic", "encours-basic"),
            ("client_secret_post", "encours-post"),
            ("none", "encours-public"),
        ):
            if method in self.profile.authentication and name not in self.state.clients:
                secret = "" if method == "none" else _secret(f"client {name} {seed}")
                wish = {"client_id": name, "token_endpoint_auth_method": method, "client_secret": secret}
                register(self.state, self.profile, wish)

    def save(self) -> None:
        """Write the state."""
        self.state.prune()
        state.write(self.state, self._file)

    def describe(self) -> dict[str, Any]:
        """Say where everything is and how to sign in."""
        paths = self.profile.paths
        return {
            "issuer": self.issuer,
            "endpoints": {name: self.issuer + getattr(paths, name) for name in paths.__struct_fields__},
            "clients": {
                name: {"method": client.token_endpoint_auth_method, "secret": client.client_secret}
                for name, client in self.state.clients.items()
            },
            "users": self.users,
        }

    def endpoint(self, path: str) -> str:
        """Name the endpoint of a path; empty: there is none."""
        paths = self.profile.paths
        known = {getattr(paths, name): name for name in paths.__struct_fields__}
        if self.profile.metadata:
            known |= {OAUTH_METADATA: "metadata", OIDC_METADATA: "metadata"}
        return known.get(path, "")

    def order_for(self, endpoint: str, request: Request) -> Order | None:
        """Give the misbehaviour that was commanded for a request, if any."""
        grant = ""
        if endpoint == "token":
            with contextlib.suppress(OAuthError):
                grant = request.form().get("grant_type", "")
        with self.lock:
            return misbehaviour.take(self.orders, endpoint, grant)

    def answer(self, endpoint: str, request: Request, order: Order | None) -> Answer:
        """Process a request, write the state, spoil the answer as commanded, and log it."""
        with self.lock:
            answer = self._right(endpoint, request)
            spoilt = ""
            if answer.status < 400:
                for kind in self.profile.quirks if endpoint == "token" else ():
                    answer = misbehaviour.apply(Order(kind=kind), self._place, answer)
            if order is not None and order.kind in misbehaviour.KINDS and answer.status >= 400:
                order.times += 1  # it waits for a right answer
            elif order is not None:
                answer, spoilt = misbehaviour.apply(order, self._place, answer), order.kind
            self.save()
            facts = {"endpoint": endpoint, "method": request.method, **answer.facts, "status": answer.status}
            self.log.write({**facts, "misbehaviour": spoilt})
        return answer

    def write_lost(self, endpoint: str, request: Request, why: str, status: int) -> None:
        """Log a request that was not processed; status 0: it got no answer."""
        facts = {"endpoint": endpoint, "method": request.method, "outcome": why, "status": status}
        with self.lock:
            self.log.write({**facts, "misbehaviour": why})

    def _right(self, endpoint: str, request: Request) -> Answer:
        actions: dict[tuple[str, str], Callable[[Request], Answer]] = {
            ("GET", "metadata"): self._metadata,
            ("GET", "jwks"): lambda _request: told(self.keys.published()),
            ("GET", "authorize"): self._consent.authorize,
            ("POST", "authorize"): self._consent.authorize,
            ("GET", "activate"): self._consent.activate,
            ("POST", "activate"): self._consent.activate,
            ("POST", "token"): self._token,
            ("POST", "device"): self._device,
            ("POST", "introspect"): self._introspect,
            ("POST", "revoke"): self._revoke,
        }
        action = actions.get((request.method, endpoint))
        if action is None:
            status = 405 if endpoint else 404
            return refused(OAuthError("invalid_request", "there is nothing here to answer", status=status))
        try:
            return action(request)
        except OAuthError as error:
            return refused(error)

    def _signed_in(self, request: Request, form: Mapping[str, str]) -> state.Client:
        return SignIn(self.state, self.profile, self.audiences()).client(request, form)

    def _token(self, request: Request) -> Answer:
        form = request.form()
        grant = form.get("grant_type", "")
        facts: dict[str, Any] = {"grant": grant if grant in self.profile.grants else "unknown"}
        try:
            client = self._signed_in(request, form)
            facts["client_id"] = client.client_id
            issued = self._grants.answer(client, form)
        except OAuthError as error:
            error.facts = {**facts, **error.facts}
            raise
        return told(issued.payload, {**facts, **issued.facts})

    def _device(self, request: Request) -> Answer:
        """Answer the device authorization request (RFC 8628, 3.2)."""
        form = request.form()
        client = self._signed_in(request, form)
        code, device = self._grants.begin_device(client, form.get("scope", ""))
        page = self.issuer + self.profile.paths.activate
        payload = {
            "device_code": code,
            "user_code": device.user_code,
            "verification_uri": page,
            "verification_uri_complete": f"{page}?user_code={device.user_code}",
            "expires_in": self.profile.device_seconds,
            "interval": self.profile.device_interval,
        }
        return told(payload, {"outcome": "device code", "client_id": client.client_id})

    def _introspect(self, request: Request) -> Answer:
        """Answer an introspection request of a client that signed in (RFC 7662, 2.1)."""
        form = request.form()
        client = self._signed_in(request, form)
        found = self.tokens.find(needed(form, "token"))
        outcome = "active" if found["active"] else "inactive"
        return told(found, {"outcome": outcome, "client_id": client.client_id})

    def _revoke(self, request: Request) -> Answer:
        """Revoke a token; one that is not known is answered in the same way (RFC 7009, 2.2)."""
        form = request.form()
        client = self._signed_in(request, form)
        facts = self.tokens.revoke(client, needed(form, "token"))
        return Answer(200, facts={**facts, "client_id": client.client_id})

    def _metadata(self, _request: Request) -> Answer:
        paths, named = self.profile.paths, self.profile
        return told(
            {
                "issuer": self.issuer,
                "authorization_endpoint": self.issuer + paths.authorize,
                "token_endpoint": self.issuer + paths.token,
                "jwks_uri": self.issuer + paths.jwks,
                "introspection_endpoint": self.issuer + paths.introspect,
                "revocation_endpoint": self.issuer + paths.revoke,
                "device_authorization_endpoint": self.issuer + paths.device,
                "scopes_supported": list(named.scopes),
                "response_types_supported": ["code"],
                "response_modes_supported": ["query"],
                "grant_types_supported": list(named.grants),
                "code_challenge_methods_supported": ["S256"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": list(ALGORITHMS),
                **_signing_in("token_endpoint", named.authentication),
                **_signing_in("introspection_endpoint", named.authentication),
                **_signing_in("revocation_endpoint", named.authentication),
                "authorization_response_iss_parameter_supported": True,
            }
        )


def _signing_in(endpoint: str, methods: Sequence[str]) -> dict[str, list[str]]:
    """Say how clients sign in at an endpoint; algorithms are named where keys are used (RFC 8414, 2)."""
    told = {f"{endpoint}_auth_methods_supported": list(methods)}
    if "private_key_jwt" in methods:
        told[f"{endpoint}_auth_signing_alg_values_supported"] = list(ALGORITHMS)
    return told


def _secret(seed: str) -> str:
    """Make up a secret; the same seed gives the same."""
    return base64.b32encode(Random(seed).randbytes(15)).decode()
