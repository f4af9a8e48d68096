"""What the security team may see of every credential and of the token that it holds: no secret of either."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from identity.errors import Denied
from identity.oauth import OAuthClient
from identity.ports import Database
from identity.providers import provider
from identity.queries import queries
from identity.transaction import of_tenant

SQL = queries(__file__)
NEEDS_CONSENT = "needs_consent"


@dataclass(frozen=True)
class Holding:
    """A credential, who answers for it, and its token; `facts` are those of an OAuth client.

    `token_id` is None where there is no token, or none yet. `state` is ok, uncertain (the provider was asked
    and its answer is not known) or needs_consent. `scope` is what was granted, None where the provider did
    not say. `renewable` tells whether a refresh token is kept.
    """

    credential_id: UUID
    kind: str
    label: str
    owner: str | None
    purpose: str | None
    subject: str | None
    company: str | None
    sender: str | None
    facts: Mapping[str, Any]
    created_at: datetime
    created_by: str
    replaced_at: datetime | None
    replaced_by: str | None
    token_id: UUID | None
    state: str | None
    scope: str | None
    issued_at: datetime | None
    expires_at: datetime | None
    uncertain_since: datetime | None
    renewable: bool

    @property
    def service(self) -> str:
        """Who gives its tokens, by the provider's name; else the kind of credential."""
        return str(self.facts.get("provider", self.kind))

    def condition(self, now: datetime) -> str:
        """How it stands, in words that people act on; of a credential without tokens: kept."""
        if self.kind != OAuthClient.kind:
            return "kept"
        if self.state in ("uncertain", NEEDS_CONSENT):
            return self.state.replace("_", " ")
        if self.expires_at is None:
            return "no token yet"
        return "good" if now < self.expires_at else "renewed at the next use"


class Inventory:
    """Reads what may be shown of the credentials of all tenants."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def holding(self, tenant_id: int, credential_id: UUID) -> Holding:
        """One credential with its token; raises Denied if the tenant has no such credential."""
        for found in self.holdings(tenant_id, credential_id):
            return found
        raise Denied(
            "no_credential",
            f"Tenant {tenant_id} has no credential {credential_id}. It may have been removed.",
        )

    def ended(self, tenants: Collection[int]) -> dict[UUID, str]:
        """What people call the service of each credential for which a person must consent again."""
        with self._database() as connection:
            return {
                credential_id: provider(service).title
                for tenant_id in tenants
                for credential_id, service in self._ended(connection, tenant_id)
            }

    def _ended(self, connection: psycopg.Connection[Any], tenant_id: int) -> list[tuple[UUID, str]]:
        with of_tenant(partial(nullcontext, connection), tenant_id):
            return connection.execute(SQL["ended"], {"tenant_id": tenant_id}).fetchall()

    def holdings(self, tenant_id: int, credential_id: UUID | None = None) -> list[Holding]:
        """The tenant's credentials with their tokens, by label; `credential_id`: this one alone."""
        asked = {"tenant_id": tenant_id, "credential_id": credential_id}
        with (
            of_tenant(self._database, tenant_id) as connection,
            connection.cursor(row_factory=class_row(Holding)) as cursor,
        ):
            return cursor.execute(SQL["holdings"], asked).fetchall()
