"""What the provider remembers: families, refresh and access tokens, codes, devices; digests, never values.

Kept in memory and written to a file after every change, so that a provider that was killed goes on where it
stood. Moments are seconds since 1970. It refuses nothing.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

import msgspec


def digest(secret: str) -> str:
    """Give the SHA-256 of a token, in hexadecimal: what is stored and logged in its place."""
    return hashlib.sha256(secret.encode()).hexdigest()


class Client(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A registered client, in the terms of RFC 7591, section 2, and RFC 8705, section 2.1.2."""

    client_id: str
    token_endpoint_auth_method: str
    client_secret: str = ""
    grant_types: tuple[str, ...] = ()
    scope: str = ""
    redirect_uris: tuple[str, ...] = ("http://127.0.0.1/callback",)
    jwks: dict[str, Any] | None = None
    tls_client_auth_subject_dn: str = ""
    id_token_signed_response_alg: str = "RS256"  # noqa: S105  an algorithm

    @property
    def confidential(self) -> bool:
        """Say whether it can keep a secret (RFC 6749, 2.1)."""
        return self.token_endpoint_auth_method != "none"  # noqa: S105  the name of a method


class Family(msgspec.Struct, kw_only=True):
    """All tokens that come from one consent, or from one call that asked for no consent."""

    id: str
    client_id: str
    subject: str
    scope: str
    created: float
    signed_in: float | None = None
    nonce: str = ""
    renewable: bool = False
    generation: int = 0
    used: float = 0.0
    ended: str = ""


class Refresh(msgspec.Struct):
    """One refresh token: its family, its generation in it, and when it was first spent."""

    family: str
    generation: int
    spent: float | None = None


class Access(msgspec.Struct):
    """One access token."""

    id: str
    family: str
    scope: str
    issued: float
    expires: float
    revoked: bool = False


class Code(msgspec.Struct):
    """One authorization code, with what its redemption must repeat."""

    client_id: str
    redirect_uri: str
    challenge: str
    subject: str
    scope: str
    nonce: str
    issued: float
    family: str = ""


class Device(msgspec.Struct):
    """One device code; `decision` is empty until the user has answered."""

    client_id: str
    user_code: str
    scope: str
    expires: float
    interval: float
    polled: float = 0.0
    decision: str = ""
    subject: str = ""


class State(msgspec.Struct):
    """Everything that outlives the process, but for the log; keyed by id, or by digest of the secret."""

    forward: float = 0.0
    clients: dict[str, Client] = {}
    issuers: dict[str, dict[str, Any]] = {}
    families: dict[str, Family] = {}
    refreshes: dict[str, Refresh] = {}
    accesses: dict[str, Access] = {}
    codes: dict[str, Code] = {}
    devices: dict[str, Device] = {}
    assertions: dict[str, float] = {}
    keys: list[dict[str, Any]] = []

    def now(self) -> float:
        """Give the provider's moment: the machine's, moved forward on command."""
        return time.time() + self.forward

    def prune(self) -> None:
        """Forget access tokens and assertions an hour after they expired, and families that had no others."""
        limit = self.now() - 3600
        self.accesses = {key: token for key, token in self.accesses.items() if token.expires > limit}
        alive = {token.family for token in self.accesses.values()}
        self.families = {
            key: family
            for key, family in self.families.items()
            if family.signed_in or family.renewable or key in alive
        }
        self.assertions = {key: expires for key, expires in self.assertions.items() if expires > limit}


def read(path: Path) -> State:
    """Read what an earlier process left, or begin anew."""
    return msgspec.json.decode(path.read_bytes(), type=State) if path.exists() else State()


def write(state: State, path: Path) -> None:
    """Replace the file in one step; only its owner reads it: it holds signing keys and clients' secrets."""
    fresh = path.with_suffix(".new")
    fresh.touch(0o600)
    fresh.write_bytes(msgspec.json.encode(state))
    fresh.replace(path)
