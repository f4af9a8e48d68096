"""What a provider is like: rotation, grace, lifetimes, token format, paths; read from profiles.toml.

It refuses profiles, fields and values that it does not know.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"  # RFC 7523, 2.1
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"  # RFC 8628, 3.4
SAP_SERVICES = (
    "API_OPLACCTGDOCITEMCUBE_SRV",
    "API_BUSINESS_PARTNER",
    "API_COMPANYCODE_SRV",
    "API_GLACCOUNTLINEITEM",
    "C_TRIALBALANCE_CDS",
    "API_BILLING_DOCUMENT_SRV",
)
SCOPES = ("openid", "offline_access", *(f"{service}_0001" for service in SAP_SERVICES))

Seconds = Annotated[float, msgspec.Meta(ge=0)]
Lifetime = Annotated[int, msgspec.Meta(ge=1)]
Grant = Literal[
    "authorization_code",
    "client_credentials",
    "refresh_token",
    "urn:ietf:params:oauth:grant-type:jwt-bearer",
    "urn:ietf:params:oauth:grant-type:device_code",
]
Authentication = Literal[
    "client_secret_basic", "client_secret_post", "private_key_jwt", "tls_client_auth", "none"
]


class Paths(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the endpoints are, below the issuer."""

    authorize: str = "/authorize"
    token: str = "/token"  # noqa: S105  a path
    introspect: str = "/introspect"
    revoke: str = "/revoke"
    device: str = "/device_authorization"
    activate: str = "/device"
    jwks: str = "/jwks"


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How one provider behaves; durations are seconds.

    `refresh_idle_seconds` ends a family that was not used for so long, `refresh_seconds` one that is so old;
    None: never. `named_user`: client credentials name a user as `username`. `quirks` are misbehaviours of the
    token endpoint that never stop.
    """

    about: str
    source: str
    rotates: bool
    grace_seconds: Seconds = 0.0
    reuse: Literal["revoke_family", "refuse"] = "revoke_family"
    one_family_per_user: bool = False
    refresh_needs: str = ""
    refresh_by_client_credentials: bool = False
    named_user: bool = False
    access_token: Literal["opaque", "jwt"] = "opaque"  # noqa: S105  a format
    signed_by: Literal["RS256", "ES256"] = "RS256"
    access_seconds: Lifetime = 3600
    code_seconds: Lifetime = 60
    device_seconds: Lifetime = 600
    device_interval: Seconds = 5.0
    refresh_seconds: Lifetime | None = None
    refresh_idle_seconds: Lifetime | None = None
    authentication: tuple[Authentication, ...] = (
        "client_secret_basic",
        "client_secret_post",
        "private_key_jwt",
        "tls_client_auth",
        "none",
    )
    grants: tuple[Grant, ...] = (
        "authorization_code",
        "client_credentials",
        "refresh_token",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "urn:ietf:params:oauth:grant-type:device_code",
    )
    scopes: tuple[str, ...] = SCOPES
    default_scope: str = " ".join(SCOPES)
    users: tuple[str, ...] = ("anna", "bruno", "COMM_ACME", "COMM_NIPPON", "api_reader@globex")
    audience: str = "https://erp.example"
    metadata: bool = True
    quirks: tuple[str, ...] = ()
    paths: Paths = Paths()


def _written() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("profiles.toml").read_text(encoding="utf-8"))


def names() -> list[str]:
    """Give the names of the profiles."""
    return list(_written())


def load(name: str, changes: Mapping[str, Any]) -> Profile:
    """Read a profile and change some of its fields.

    Raises:
        ValueError: there is no such profile or field, or a value does not fit.
    """
    written = _written()
    if name not in written:
        raise ValueError(f"no profile {name!r}: choose from {', '.join(written)}")
    return _checked({**written[name], **changes})


def change(profile: Profile, changes: Mapping[str, Any]) -> Profile:
    """Change some fields of a profile.

    Raises:
        ValueError: there is no such field, or a value does not fit.
    """
    return _checked({**msgspec.to_builtins(profile), **changes})


def _checked(fields: Mapping[str, Any]) -> Profile:
    try:
        return msgspec.convert(fields, Profile)
    except msgspec.ValidationError as error:
        raise ValueError(f"this is no profile: {error}") from error
