"""What to ask a token provider for: each request as a form, a way to sign in, and the secrets it holds.

Client credentials (RFC 6749, 4.4), refresh (6), JWT bearer (RFC 7523, 2.1), device code (RFC 8628), the
redemption of a code (RFC 6749, 4.1.3 with RFC 7636), revocation (RFC 7009) and introspection (RFC 7662).
Nothing is sent here: identity.asking does that, and identity.answers says what came of it. Refuses (Denied) a
client whose parts do not fit its way to sign in. The forms are our own: authlib joins id and secret for basic
authentication without encoding them (RFC 6749, 2.3.1) and in Latin-1, and leaves empty parameters out.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import quote_plus

from requests import PreparedRequest

from identity.assertions import Vouching
from identity.errors import Denied
from identity.ports import Clock, Sign
from identity.secret import Secret

JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
DEVICE_CODE: Final = "urn:ietf:params:oauth:grant-type:device_code"
CLIENT_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
METHODS: Final = (
    "client_secret_basic",
    "client_secret_post",
    "private_key_jwt",
    "tls_client_auth",
    "none",
)
LONGEST: Final = 16_384
NOTHING: Final[Mapping[str, str]] = {}

Form = dict[str, str | Secret]


class Ask(NamedTuple):
    """One request: `asking.post(*ask)`."""

    url: str
    form: Form
    sign: Sign | None = None
    secrets: tuple[Secret, ...] = ()


@dataclass(frozen=True)
class Client:
    """How we are registered: our id and the method by which we sign in, in the terms of RFC 7591, 2.

    `secret` belongs to the two client_secret methods, `key` to private_key_jwt. The certificate of
    tls_client_auth is given to Asking: it is a matter of the connection.
    """

    id: str
    method: str
    secret: Secret | None = None
    key: Vouching | None = None

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise Denied("unknown_method", f"A client signs in by one of {', '.join(METHODS)}.")
        if not 1 <= len(self.id) <= LONGEST or not self.id.isprintable():
            raise Denied("invalid_client_id", "A client id is a printable text.")
        if (self.secret is not None) != self.method.startswith("client_secret"):
            raise Denied("client_secret", "A client secret belongs to client_secret_basic and _post, only.")
        if (self.key is not None) != (self.method == "private_key_jwt"):
            raise Denied("client_key", "A private key belongs to private_key_jwt, only.")
        if self.secret is not None and not _sendable(self.secret):
            raise Denied(
                "invalid_client_secret",
                f"A client secret has 1 to {LONGEST} characters, none of them a control character. A line "
                "end that came along when it was pasted is the usual reason.",
            )


class Grants:
    """The requests of one client at one provider, for its token endpoint where nothing else is said.

    `audience` is whom our assertions are for: the issuer, or the token endpoint where there is none known
    (RFC 7523, 3). `new_id` makes the id of each, never the same twice.
    """

    def __init__(
        self,
        client: Client,
        token_endpoint: str,
        *,
        clock: Clock,
        audience: str | None = None,
        new_id: Callable[[], str] = secrets.token_urlsafe,
    ) -> None:
        self._client = client
        self._endpoint = token_endpoint
        self._audience = audience or token_endpoint
        self._clock = clock
        self._new_id = new_id

    def client_credentials(self, scope: frozenset[str], more: Mapping[str, str] = NOTHING) -> Ask:
        """A token of the client's own; `more` is what this provider needs besides (Auth0: audience)."""
        return self._ask({"grant_type": "client_credentials", **_scope(scope), **more})

    def refresh(self, token: Secret, scope: frozenset[str] = frozenset()) -> Ask:
        """New tokens for a refresh token; no scope asks for that of the consent."""
        return self._ask({"grant_type": "refresh_token", "refresh_token": token, **_scope(scope)})

    def jwt_bearer(self, vouching: Vouching, issuer: str, subject: str, scope: frozenset[str]) -> Ask:
        """A token of the user `subject`, for whom the issuer of a signed assertion vouches."""
        assertion = self._vouched(vouching, issuer, subject)
        return self._ask({"grant_type": JWT_BEARER, "assertion": assertion, **_scope(scope)})

    def redeem(self, code: Secret, redirect_uri: str, verifier: Secret) -> Ask:
        """Tokens for the code that a browser came back with, and the verifier of its challenge."""
        form: Form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        return self._ask({**form, "code_verifier": verifier})

    def begin_device(self, endpoint: str, scope: frozenset[str]) -> Ask:
        """A sign-in on another device, at the device authorization endpoint."""
        return self._ask({**_scope(scope)}, endpoint)

    def poll_device(self, code: Secret) -> Ask:
        """Asks once whether the person has decided."""
        return self._ask({"grant_type": DEVICE_CODE, "device_code": code})

    def revoke(self, endpoint: str, token: Secret, hint: str) -> Ask:
        """Revokes a token; `hint` is access_token or refresh_token."""
        return self._ask({"token": token, "token_type_hint": hint}, endpoint)

    def introspect(self, endpoint: str, token: Secret, hint: str) -> Ask:
        """Asks what a token is good for; `hint` as for `revoke`."""
        return self._ask({"token": token, "token_type_hint": hint}, endpoint)

    def _ask(self, form: Form, endpoint: str | None = None) -> Ask:
        client, url = self._client, endpoint or self._endpoint
        if client.method == "client_secret_basic" and client.secret is not None:
            sign = _Basic(client.id, client.secret)
            return Ask(url, form, sign, (client.secret, sign.credentials))
        named: Form = {**form, "client_id": client.id}
        if client.secret is not None:
            return Ask(url, {**named, "client_secret": client.secret})
        if client.key is not None:
            assertion = self._vouched(client.key, client.id, client.id)
            return Ask(
                url, {**named, "client_assertion_type": CLIENT_ASSERTION, "client_assertion": assertion}
            )
        return Ask(url, named)

    def _vouched(self, vouching: Vouching, issuer: str, subject: str) -> Secret:
        return vouching.assertion(
            issuer=issuer, subject=subject, audience=self._audience, at=self._clock(), jti=self._new_id()
        )


class _Basic:
    """Signs in by header: id and secret are each encoded as in a form before they are joined (2.3.1)."""

    def __init__(self, client_id: str, secret: Secret) -> None:
        pair = f"{quote_plus(client_id)}:{quote_plus(secret.reveal())}"
        self.credentials = Secret(base64.b64encode(pair.encode("ascii")).decode("ascii"))

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["Authorization"] = f"Basic {self.credentials.reveal()}"
        return request


def _scope(scope: frozenset[str]) -> Form:
    return {"scope": " ".join(sorted(scope))} if scope else {}


def _sendable(secret: Secret) -> bool:
    text = secret.reveal()
    return 1 <= len(text) <= LONGEST and all(c.isprintable() or c == " " for c in text)
