"""What token providers are like, as data: identity/providers.toml, one table each, proven or marked as not.

Refuses tables with fields or values that it does not know, and (Denied) providers that are not there.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from identity.answers import DEFAULT_LIFETIME, LONGEST_LIFETIME
from identity.errors import Denied

Endpoint = Literal["token", "authorize", "revoke", "introspect", "device"]
Method = Literal["client_secret_basic", "client_secret_post", "private_key_jwt", "tls_client_auth", "none"]
Grant = Literal[
    "client_credentials",
    "authorization_code",
    "refresh_token",
    "urn:ietf:params:oauth:grant-type:jwt-bearer",
    "urn:ietf:params:oauth:grant-type:device_code",
]
Seconds = Annotated[float, msgspec.Meta(ge=0)]
Lifetime = Annotated[int, msgspec.Meta(ge=60, le=LONGEST_LIFETIME)]
Text = Annotated[str, msgspec.Meta(min_length=1)]


class Provider(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One provider.

    Where its endpoints are: `endpoints_from` is metadata (of the issuer that the credential names;
    `issuer_like` shows one), provider (`endpoints` are addresses), system (they are paths at the connected
    system's own origin) or credential (it names an issuer or each endpoint). `origin_suffixes` are host names
    below which endpoints that the provider names itself may be.

    What is asked for: how clients sign in and which grants there are, `scopes` where nothing else is said,
    `refresh_needs` what a consent brings no refresh token without, `scope_of_service` the scope of one
    service of a system, `client_credentials_need` further fields. `unanswered_scopes` are granted without
    being named in the answer.

    How refresh tokens live: whether each is good once (`rotates`), for how many seconds a spent one still is,
    whether spending one twice ends the grant, whether a second consent of a user ends the first, and after
    how many seconds without use it ends (`idle_seconds`; None: it does not, or nobody knows).
    `default_lifetime` is that of an access token, in seconds, whose answer tells none.
    """

    name: Text
    title: Text
    source: Text
    endpoints_from: Literal["metadata", "provider", "system", "credential"]
    authentication: tuple[Method, ...]
    grants: tuple[Grant, ...]
    rotates: bool
    reuse_revokes_family: bool
    issuer_like: str = ""
    endpoints: dict[Endpoint, str] = {}
    origin_suffixes: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    refresh_needs: tuple[str, ...] = ()
    scope_of_service: str = ""
    unanswered_scopes: tuple[str, ...] = ()
    client_credentials_need: tuple[str, ...] = ()
    grace_seconds: Seconds = 0.0
    one_grant_per_user: bool = False
    idle_seconds: Annotated[int, msgspec.Meta(ge=1)] | None = None
    default_lifetime: Lifetime = DEFAULT_LIFETIME

    def endpoint(self, kind: Endpoint, origin: str = "") -> str | None:
        """The address of an endpoint, None if the table has none; `origin` is that of the system."""
        address = self.endpoints.get(kind)
        return f"{origin}{address}" if address and self.endpoints_from == "system" else address

    def answered(self, asked: frozenset[str]) -> frozenset[str]:
        """What of a scope that was asked for the answer has to name."""
        return asked - frozenset(self.unanswered_scopes)


def names() -> tuple[str, ...]:
    """The names of all providers."""
    return tuple(_all())


def provider(name: str) -> Provider:
    """The provider of this name; raises Denied("unknown_provider")."""
    try:
        return _all()[name]
    except KeyError:
        raise Denied(
            "unknown_provider", f"There is no token provider {name!r}. Choose from {', '.join(names())}."
        ) from None


def read(text: str) -> dict[str, Provider]:
    """The providers of a TOML text; raises ValueError naming the table and the field that are wrong."""
    found = {}
    for name, table in tomllib.loads(text).items():
        try:
            found[name] = _checked(msgspec.convert({**table, "name": name}, Provider))
        except (msgspec.ValidationError, TypeError) as error:
            raise ValueError(f"provider {name}: {error}") from None
    return found


def _checked(given: Provider) -> Provider:
    has = given.endpoints_from in ("provider", "system")
    if has != bool(given.endpoints) or (has and "token" not in given.endpoints):
        raise ValueError(
            f"provider {given.name}: endpoints_from = {given.endpoints_from!r} and its endpoints"
        )
    for address in given.endpoints.values():
        path_only = address.startswith("/") and not address.startswith("//")
        if not (path_only if given.endpoints_from == "system" else urlsplit(address).scheme == "https"):
            raise ValueError(f"provider {given.name}: {address} is no path of a system and no https address")
    if any(not suffix or suffix.startswith(".") for suffix in given.origin_suffixes):
        raise ValueError(f"provider {given.name}: an origin suffix is a host name without a dot before it")
    return given


@cache
def _all() -> dict[str, Provider]:
    return read(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
