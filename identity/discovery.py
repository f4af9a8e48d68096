"""What an issuer says of itself (OpenID Connect Discovery 1.0; RFC 8414), believed only as far as it may be.

Refuses (Denied) metadata whose issuer is not exactly the one asked for, and any endpoint that is neither on
the issuer's own origin nor https below a suffix of the provider's profile. Nothing is sent to an endpoint
here, so that metadata cannot send us to an internal address.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from identity.answers import accepted
from identity.asking import Asking
from identity.errors import Denied
from identity.signing import origin, shown

LONGEST_ADDRESS: Final = 2_048
ENDPOINTS: Final = (
    "token_endpoint",
    "authorization_endpoint",
    "device_authorization_endpoint",
    "revocation_endpoint",
    "introspection_endpoint",
    "jwks_uri",
)


@dataclass(frozen=True)
class Metadata:
    """An issuer's endpoints, and how clients sign in at its token endpoint; None: it has no such endpoint.

    `names_itself` says that its answers to a browser carry `iss` (RFC 9207, 3).
    """

    issuer: str
    token_endpoint: str
    authorization_endpoint: str | None
    device_authorization_endpoint: str | None
    revocation_endpoint: str | None
    introspection_endpoint: str | None
    jwks_uri: str | None
    authentication: tuple[str, ...]
    names_itself: bool


def discovered(asking: Asking, issuer: str, suffixes: Collection[str] = ()) -> Metadata:
    """The metadata of an issuer; `suffixes` are host names below which its endpoints may be as well.

    Asked for as OpenID Connect has it, and if that is refused as RFC 8414 has it. Raises Denied and TryLater.
    """
    first, second = _addresses(issuer)
    try:
        told = accepted(asking.get(first))
    except Denied as denied:
        if denied.code != "refused":
            raise
        told = accepted(asking.get(second))
    return _checked(told, issuer, suffixes)


def _addresses(issuer: str) -> tuple[str, str]:
    """Behind the issuer (OpenID Connect Discovery, 4.1), and before its path (RFC 8414, 3.1)."""
    place, parts = origin("The issuer", issuer), urlsplit(issuer)
    if parts.query or parts.fragment or len(issuer) > LONGEST_ADDRESS:
        raise Denied("invalid_issuer", "An issuer is an address without query and fragment (RFC 8414, 2).")
    path = parts.path.rstrip("/")
    return (
        f"{shown(place)}{path}/.well-known/openid-configuration",
        f"{shown(place)}/.well-known/oauth-authorization-server{path}",
    )


def _checked(told: Mapping[str, Any], issuer: str, suffixes: Collection[str]) -> Metadata:
    if told.get("issuer") != issuer:
        raise Denied(
            "other_issuer",
            f"The metadata of {issuer} names another issuer or none. Ask for exactly the issuer that its "
            "vendor writes, with or without a slash at its end.",
        )
    found = {name: _endpoint(told, name, issuer, suffixes) for name in ENDPOINTS}
    token_endpoint = found.pop("token_endpoint")
    if token_endpoint is None:
        raise Denied("no_token_endpoint", f"The metadata of {issuer} names no token_endpoint.")
    methods = told.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    if not isinstance(methods, list) or not all(isinstance(method, str) for method in methods):
        raise Denied("invalid_metadata", f"The metadata of {issuer} does not say how clients sign in.")
    return Metadata(
        issuer=issuer,
        token_endpoint=token_endpoint,
        **found,
        authentication=tuple(methods),
        names_itself=told.get("authorization_response_iss_parameter_supported") is True,
    )


def _endpoint(told: Mapping[str, Any], name: str, issuer: str, suffixes: Collection[str]) -> str | None:
    address = told.get(name)
    if address is None:
        return None
    if not isinstance(address, str) or len(address) > LONGEST_ADDRESS or not address.isprintable():
        raise Denied("invalid_metadata", f"The metadata of {issuer} has a {name} that is no address.")
    place = origin(f"The {name} of {issuer}", address)
    if place != origin("The issuer", issuer) and not below(place, suffixes):
        raise Denied(
            "foreign_endpoint",
            f"The metadata of {issuer} names a {name} at {shown(place)[:LONGEST_ADDRESS]}, which is neither "
            "its own origin nor one of its provider's. Nothing was sent there.",
        )
    return address


def below(place: tuple[str, str, int], suffixes: Collection[str]) -> bool:
    """Whether an origin is https, on the usual port, at or below one of these host names."""
    scheme, host, port = place
    known = any(host == suffix or host.endswith(f".{suffix}") for suffix in suffixes)
    return known and (scheme, port) == ("https", 443)
