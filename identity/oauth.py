"""OAuth clients: who asks a token provider, how it signs in there, and what it asks for.

The client itself signs no request: identity.bearer does, with the access tokens that identity.tokens gets.
Refuses (Denied) what could not be sent, and a client that lacks what its grant or its way to sign in needs.
Sources: RFC 6749; RFC 7523 (assertions); RFC 8705 (certificates); names of the ways to sign in: RFC 8414.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self
from urllib.parse import urlsplit

from identity.errors import Denied
from identity.secret import Secret

CLIENT_CREDENTIALS: Final = "client_credentials"
JWT_BEARER: Final = "jwt_bearer"
REFRESH_TOKEN: Final = "refresh_token"  # noqa: S105  a consent that a person gave, kept and renewed
GRANTS: Final = (CLIENT_CREDENTIALS, JWT_BEARER, REFRESH_TOKEN)
WITH_SECRET: Final = ("client_secret_basic", "client_secret_post", "private_key_jwt")
AUTHENTICATION: Final = (*WITH_SECRET, "tls_client_auth", "none")
VISIBLE: Final = re.compile(r"[\x20-\x7e]{1,255}")  # RFC 6749, appendix A
SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,255}")  # RFC 6749, 3.3
NAME: Final = re.compile(r"[a-z0-9_]{1,50}")
LONGEST_SECRET: Final = 16_384
LONGEST_GRACE: Final = 3600


@dataclass(frozen=True)
class OAuthClient:
    """A client at a token provider; texts may be shown, Secrets may not.

    `subject` is the client id. `secret` is the client's secret, or its private key for private_key_jwt; empty
    where it signs in with a certificate or not at all. Where the provider's profile names no address,
    `token_endpoint` or `issuer` does; `device_endpoint` is where a person's consent by device code begins
    (RFC 8628), where neither the profile nor the issuer's metadata names it. `username` is the user that
    client credentials name (Sage Intacct).
    `assertion_*` are of the grant jwt_bearer: who vouches, for which user, and the private key that signs it.
    `audience` is whom assertions are for, where it is neither the issuer nor the token endpoint; at providers
    whose client credentials need one (Auth0) it is the service that tokens are for.
    `grace_seconds` is how long the provider takes a spent refresh token once more, where an administrator
    chose it there; None: what the profile says.
    """

    kind: ClassVar[str] = "oauth"
    subject: str
    secret: Secret
    grant: str
    provider: str = "generic"
    authentication: str = "client_secret_basic"
    scopes: tuple[str, ...] = ()
    token_endpoint: str | None = None
    issuer: str | None = None
    device_endpoint: str | None = None
    username: str | None = None
    key_id: str | None = None
    audience: str | None = None
    assertion_issuer: str | None = None
    assertion_subject: str | None = None
    assertion_key_id: str | None = None
    assertion_key: Secret | None = None
    grace_seconds: int | None = None

    def __post_init__(self) -> None:
        _one_of("grant", self.grant, GRANTS)
        _one_of("client authentication", self.authentication, AUTHENTICATION)
        if not NAME.fullmatch(self.provider):
            raise Denied("invalid_provider", "A provider's name has lower-case letters, digits and _.")
        self._check_texts()
        self._check_addresses()
        self._check_secrets()
        if self.grace_seconds is not None and not 0 <= self.grace_seconds <= LONGEST_GRACE:
            raise Denied("invalid_grace", f"The grace of a refresh token is 0 to {LONGEST_GRACE} seconds.")

    def facts(self) -> dict[str, Any]:
        """What may be shown besides the client id, as it is stored: plain values, none of them None."""
        told = {name: getattr(self, name) for name in FACTS}
        return {name: list(v) if isinstance(v, tuple) else v for name, v in told.items() if v is not None}

    @classmethod
    def stored(
        cls, subject: str, secret: Secret, assertion_key: Secret | None, facts: Mapping[str, Any]
    ) -> Self:
        """The client of a stored row; raises Denied for facts that this version does not know."""
        if unknown := sorted(facts.keys() - set(FACTS)):
            raise Denied(
                "unknown_facts", f"This version of Encours knows no {', '.join(unknown)} of a client."
            )
        told = {**facts, "scopes": tuple(facts.get("scopes", ()))}
        return cls(subject, secret, assertion_key=assertion_key, **told)

    def _check_texts(self) -> None:
        texts = {
            "client id": self.subject,
            "user name": self.username,
            "key id": self.key_id,
            "audience": self.audience,
            "assertion issuer": self.assertion_issuer,
            "assertion subject": self.assertion_subject,
            "assertion key id": self.assertion_key_id,
        }
        for name, text in texts.items():
            if text is not None and not VISIBLE.fullmatch(text):
                raise Denied("invalid_" + name.replace(" ", "_"), f"A {name} has 1 to 255 ASCII characters.")
        if not all(SCOPE.fullmatch(scope) for scope in self.scopes):
            raise Denied(
                "invalid_scope", 'A scope has visible ASCII characters without " and \\ (RFC 6749, 3.3).'
            )

    def _check_addresses(self) -> None:
        addresses = {
            "token endpoint": self.token_endpoint,
            "issuer": self.issuer,
            "device endpoint": self.device_endpoint,
        }
        for name, url in addresses.items():
            if url is not None and not _is_address(url):
                raise Denied(
                    "invalid_address",
                    f"The {name} is an address that begins with https:// and names a host; it has no user "
                    "name, no password and no #.",
                )

    def _check_secrets(self) -> None:
        secret = self.secret.reveal()
        if bool(secret) != (self.authentication in WITH_SECRET) or len(secret) > LONGEST_SECRET:
            raise Denied(
                "invalid_client_secret",
                f"A client that signs in by {self.authentication} has "
                + ("a secret or a private key." if self.authentication in WITH_SECRET else "no secret."),
            )
        if self.authentication != "private_key_jwt" and not secret.isprintable():
            raise Denied(
                "invalid_client_secret", "A client secret has no control characters and no line end."
            )
        vouched = (self.assertion_issuer, self.assertion_subject, self.assertion_key)
        if (self.grant == JWT_BEARER) != (None not in vouched) or (self.grant != JWT_BEARER and any(vouched)):
            raise Denied(
                "invalid_assertion",
                "The grant jwt_bearer, and no other, has an assertion's issuer, subject and private key.",
            )


FACTS: Final = (
    "grant", "provider", "authentication", "scopes", "token_endpoint", "issuer", "device_endpoint",
    "username", "key_id", "audience", "assertion_issuer", "assertion_subject", "assertion_key_id",
    "grace_seconds",
)  # fmt: skip


def _one_of(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise Denied("unknown_" + name.replace(" ", "_"), f"A {name} is one of: {', '.join(known)}.")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    plain = "@" not in parts.netloc and "#" not in url and url.isprintable() and " " not in url
    return parts.scheme in ("http", "https") and bool(parts.hostname) and plain
