"""Which credentials and tokens there are, who answers for them, whom they sign for, and what they read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from encours.findings import Finding, findings
from encours.registry import Connector, Registry, Tenant
from encours.translation import translated
from identity.authority import Authority
from identity.inventory import Holding
from receivables.errors import Misconfigured
from receivables.store import LastRun, RunToken, Store


@dataclass(frozen=True)
class Inventoried:
    """A credential with its token; `connectors` are those that it signs for, `last_run` is `KEY run 12`."""

    tenant: str
    credential_id: UUID
    kind: str
    owner: str | None
    purpose: str | None
    service: str
    subject: str | None
    scopes_asked: Sequence[str]
    scopes_granted: Sequence[str] | None  # None: there is no token, or its provider did not say
    token_id: UUID | None
    issued_at: datetime | None
    expires_at: datetime | None
    condition: str  # good, renewed at the next use, no token yet, uncertain, needs consent; kept
    connectors: Sequence[str]
    last_run: str | None
    last_used_at: datetime | None
    findings: Sequence[Finding]


@dataclass(frozen=True)
class Use:
    """So many requests of one run that one token signed; None: of a kind of credential without tokens."""

    connector: str
    run: int
    opened_at: datetime
    ended_at: datetime | None
    credential_id: UUID
    token_id: UUID | None
    uses: int


def inventory(
    tenants: Sequence[Tenant], registry: Registry, authority: Authority, store: Store, now: datetime
) -> list[Inventoried]:
    """Every credential of these tenants."""
    connectors = registry.connectors()
    found = []
    for tenant in tenants:
        last = {one.credential_id: one for one in store.last_runs(tenant.tenant_id)}
        with translated(tenant.key):
            holdings = authority.inventory.holdings(tenant.tenant_id)
        found += [
            _inventoried(tenant, held, connectors, last.get(held.credential_id), now) for held in holdings
        ]
    return found


def _inventoried(
    tenant: Tenant, held: Holding, connectors: Sequence[Connector], run: LastRun | None, now: datetime
) -> Inventoried:
    names = {c.connector_id: c.key for c in connectors}
    signing = [c.key for c in connectors if c.credential_id == held.credential_id]
    last_used_at = run.told_at if run else None
    return Inventoried(
        tenant=tenant.key,
        credential_id=held.credential_id,
        kind=held.kind,
        owner=held.owner,
        purpose=held.purpose,
        service=held.service,
        subject=held.subject,
        scopes_asked=held.facts.get("scopes", []),
        scopes_granted=None if held.scope is None else held.scope.split(),
        token_id=held.token_id if held.expires_at else None,
        issued_at=held.issued_at,
        expires_at=held.expires_at,
        condition=held.condition(now),
        connectors=signing,
        last_run=f"{names.get(run.connector_id, 'removed')} run {run.number}" if run else None,
        last_used_at=last_used_at,
        findings=findings(held, signing, last_used_at, now),
    )


def uses(connectors: Sequence[Connector], store: Store, **narrowed: Any) -> list[Use]:
    """What signed the runs of these connectors, the latest first; narrowed as store.run_tokens is."""
    found = [
        Use(c.key, one.number, one.opened_at, one.ended_at, one.credential_id, one.token_id, one.uses)
        for c in connectors
        for one in _of(c, store, narrowed)
    ]
    return sorted(found, key=lambda use: use.opened_at, reverse=True)


def _of(connector: Connector, store: Store, narrowed: dict[str, Any]) -> list[RunToken]:
    return store.run_tokens(connector.tenant_id, connector_id=connector.connector_id, **narrowed)


def token_id_of(text: str) -> UUID:
    """A token's id as typed; raises Misconfigured."""
    try:
        return UUID(text)
    except ValueError:
        raise Misconfigured(f"{text!r} is no token's id. The ids: encours tokens list") from None
