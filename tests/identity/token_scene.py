"""An authority with clients at a simulated provider: what is counted, the provider's own log counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import requests

from encours.postgres import Role
from identity.audit import Entry
from identity.authority import Authority
from identity.kms import LocalKms
from identity.oauth import OAuthClient
from identity.ports import Passing, Sleep
from identity.secret import Secret
from identity.signing import OriginAuth
from identity.token_rows import Holder, Token
from identity.tokens import Wish
from tests.conftest import Database
from tests.identity.asked import asking
from tests.sandbox.idp_client import Provider

ORIGIN = "https://erp.example"


AsRole = Callable[[Role, int | None], AbstractContextManager[psycopg.Connection[Any]]]


@dataclass(frozen=True)
class Link:
    credential_id: UUID | None
    key: str = "acme-s4"
    tenant_id: int = 1
    origin: str = ORIGIN


@dataclass
class Scene:
    """One installation and one provider; `ahead` moves our clock, `slept` are the pauses that were asked for."""

    database: Database
    key_file: Path
    idp: Provider
    ahead: timedelta = timedelta(0)
    slept: list[float] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.asking = asking()
        self.authority = self.another()

    def another(self, *, sleep: Sleep | None = None, passing: Passing | None = None) -> Authority:
        """The authority as another process has it."""
        return Authority(
            lambda: psycopg.connect(self.database.url("encours_identity")),
            LocalKms(self.key_file),
            self.now,
            sleep=sleep or self.slept.append,
            passing=passing or self.passed.append,
        )

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def client(self, name: str = "encours-basic", **changes: Any) -> OAuthClient:
        method = self.idp.clients[name]["method"]
        usual: dict[str, Any] = {
            "subject": name,
            "secret": Secret(self.idp.clients[name]["secret"]),
            "grant": "client_credentials",
            "authentication": method,
            "token_endpoint": self.idp.endpoints["token"],
        }
        return OAuthClient(**(usual | changes))

    def connected(self, client: OAuthClient | None = None, **changes: Any) -> Holder:
        """A credential of this client."""
        content = client or self.client(**changes)
        return Holder(1, self.authority.credentials.create(1, content, label="acme", by="test"))

    def consented(self, user: str = "anna", **changes: Any) -> Holder:
        """A credential whose refresh token a person's consent has brought."""
        holder = self.connected(grant="refresh_token", **changes)
        self.consent(holder, user)
        return holder

    def consent(self, holder: Holder, user: str = "anna") -> str:
        """The refresh token of a fresh consent, adopted."""
        told = self.idp.consent(user=user)
        self.authority.tokens.adopt(holder, Secret(told["refresh_token"]), by="test")
        return str(told["refresh_token"])

    def wish(self, holder: Holder, instead_of: UUID | None = None) -> Wish:
        return Wish(holder, self.authority.asker(self.asking, ORIGIN), "test", instead_of)

    def current(self, holder: Holder, instead_of: UUID | None = None) -> Token:
        return self.authority.tokens.current(self.wish(holder, instead_of))

    def auth(self, holder: Holder, key: str = "acme-s4", authority: Authority | None = None) -> OriginAuth:
        return (authority or self.authority).auth(Link(holder.credential_id, key), asking=self.asking)

    def row(self, holder: Holder) -> dict[str, Any]:
        """The stored row, but for what is sealed."""
        names = (
            "token_id, version, state, issued_at, expires_at, scope, asked_with, uncertain_since, attempts"
        )
        with psycopg.connect(self.database.url("encours_identity")) as connection:
            connection.execute("select set_config('app.tenant', '1', true)")
            found = connection.execute(
                f"select {names}, refresh_token is not null from identity.token where credential_id = %s".encode(),  # noqa: S608
                [holder.credential_id],
            ).fetchone()
        return dict(zip([*names.split(", "), "refreshes"], found, strict=True)) if found else {}

    def alive(self, token: Token) -> bool:
        """Whether the provider takes it."""
        return bool(self.idp.active(token.access.reveal())["active"])

    def calls(self) -> list[dict[str, Any]]:
        """What reached the token endpoint of ours, as the provider has it, but for consents."""
        return [entry for entry in self.idp.log() if entry.get("grant") != "authorization_code"]

    def outcomes(self) -> list[str]:
        return [entry["outcome"] for entry in self.calls()]

    def told(self, event: str | None = None) -> list[Entry]:
        return list(self.authority.audit.entries(1, event=event))

    def events(self) -> Counter[str]:
        return Counter(entry.event for entry in self.told())

    def misbehave(self, kind: str, **wish: Any) -> None:
        self.idp.control("misbehave", {"kind": kind, **wish})


def signed(auth: OriginAuth) -> str:
    """The token that signs a request now."""
    request = requests.Request("GET", f"{ORIGIN}/", auth=auth).prepare()
    scheme, _, token = request.headers["Authorization"].partition(" ")
    assert scheme == "Bearer"
    return token


Play = Callable[..., Scene]
