"""What the security team asks of an installation: its audit, its credentials and tokens, and its keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from encours import inventory
from encours.inventory import Inventoried, Use
from encours.revoking import Revoked, revoke, signing
from encours.translation import translated
from identity.audit import Entry, Verification
from identity.export import ocsf
from receivables.errors import Misconfigured

if TYPE_CHECKING:
    from connectors.kit.addresses import Network
    from encours.registry import Registry, Tenant
    from identity.authority import Authority
    from receivables.store import Store


@dataclass(frozen=True)
class Told:
    """An audit entry with the key of its tenant."""

    tenant: str
    entry: Entry


@dataclass(frozen=True)
class Proof:
    """What the audit of one tenant shows."""

    tenant: str
    verification: Verification


@dataclass(frozen=True)
class KeyVersion:
    """A key version: how many secrets it seals, and whether it is the one that seals from now on."""

    version: str
    sealed: int
    current: bool


class Security:
    """The audit, the tokens and the keys of one installation; `tenant` None means every tenant."""

    def __init__(
        self,
        registry: Registry,
        authority: Authority,
        store: Store,
        clock: Callable[[], datetime],
        networks: Sequence[Network],
    ) -> None:
        self._registry = registry
        self._authority = authority
        self._store = store
        self._clock = clock
        self._networks = networks

    def inventory(self, tenant: str | None = None) -> list[Inventoried]:
        """Every credential with its token, its owner and its last use."""
        now = self._clock()
        return inventory.inventory(self._tenants(tenant), self._registry, self._authority, self._store, now)

    def uses(self, key: str | None = None, **narrowed: Any) -> list[Use]:
        """Which token signed which run of one connector or of all; narrowed as store.run_tokens is."""
        chosen = [self._registry.connector(key)] if key else self._registry.connectors()
        return inventory.uses(chosen, self._store, **narrowed)

    def assign(self, key: str, *, owner: str | None, purpose: str | None, by: str) -> None:
        """Says who answers for a connector's credential and what it is for; None leaves what was said."""
        connector = self._registry.connector(key)
        if connector.credential_id is None:
            raise Misconfigured(f"{key} has no credential.")
        with translated(key):
            self._authority.credentials.assign(
                connector.tenant_id, connector.credential_id, owner=owner, purpose=purpose, by=by
            )

    def signing(self, key: str) -> list[str]:
        """The connectors that sign with this one's credential: they go stale when its token is revoked."""
        return [each.key for each in signing(self._registry.connector(key), self._registry)]

    def revoke(self, key: str, reason: str, *, by: str) -> Revoked:
        """Ends the token of a connector's credential, and pauses all that sign with it; see revoking."""
        return revoke(
            self._registry.connector(key),
            reason,
            registry=self._registry,
            authority=self._authority,
            networks=self._networks,
            by=by,
        )

    def entries(
        self, tenant: str | None = None, *, since: datetime | None = None, event: str | None = None
    ) -> Iterator[Told]:
        """The audit's entries, tenant by tenant, oldest first."""
        for one in self._tenants(tenant):
            with translated("audit"):
                for entry in self._authority.audit.entries(one.tenant_id, since=since, event=event):
                    yield Told(one.key, entry)

    def export(
        self, tenant: str | None = None, *, since: datetime | None = None, by: str
    ) -> Iterator[dict[str, Any]]:
        """The entries as OCSF events; that they were exported is an entry of its own, told first."""
        ours = version("encours")
        for one in self._tenants(tenant):
            with translated("audit"):
                self._authority.audit.tell_exported(one.tenant_id, by=by, since=since)
                for entry in self._authority.audit.entries(one.tenant_id, since=since):
                    yield ocsf(entry, one.key, ours)

    def verify(self, tenant: str | None = None) -> list[Proof]:
        """Proves the whole audit against itself and its last checkpoint."""
        return [Proof(one.key, self._authority.audit.verify(one.tenant_id)) for one in self._tenants(tenant)]

    def checkpoint(self) -> int:
        """Signs where each tenant's audit ends, if anything was added; how many were signed."""
        with translated("audit"):
            made = [self._authority.audit.checkpoint(tenant_id) for tenant_id in self._ids()]
        return len([one for one in made if one])

    def key_versions(self) -> list[KeyVersion]:
        """The key versions in use, and the current one."""
        with translated("keys"):
            current = self._authority.keys.current()
            counts = {current: 0} | self._authority.keys.versions(self._ids())
        return [KeyVersion(one, counts[one], one == current) for one in sorted(counts)]

    def rotate(self, *, by: str) -> Iterator[tuple[int, int]]:
        """Seals every secret under a new key; (done, of how many) after each transaction, first (0, n).

        A rotation that was interrupted is finished instead of begun anew. Readers are not disturbed.
        """
        keys, tenants = self._authority.keys, self._ids()
        with translated("keys"):
            if not self._left():
                keys.begin()
            done, of = 0, self._left()
            yield done, of
            for count in keys.seal_again(tenants, by=by):
                done += count
                yield done, max(of, done)

    def _left(self) -> int:
        """How many secrets an older key seals."""
        return sum(one.sealed for one in self.key_versions() if not one.current)

    def _tenants(self, key: str | None) -> list[Tenant]:
        return [self._registry.tenant(key)] if key else self._registry.tenants()

    def _ids(self) -> list[int]:
        return [one.tenant_id for one in self._registry.tenants()]
