"""The hub: everything wired, behind the calls that DAGs, console, command line and tests share.

It is the only translator: identity's errors leave it as the hub's own, with the connector's name.
"""

from __future__ import annotations

import getpass
import time
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import partial
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from connectors.kit.steps import checked
from connectors.kit.stream import Check
from encours import consenting, listing, reports
from encours import overview as standing
from encours import replay as replaying
from encours import sync as syncing
from encours.access import Lending
from encours.asking import keep_alive
from encours.credential import Typed, material, refuse_needless
from encours.database import Database
from encours.decisions import Decisions
from encours.overview import ConnectorStatus, TieOutReport
from encours.reading import Report, settings_digest
from encours.registry import Connector, Registry
from encours.security import Security
from encours.settings import Settings
from encours.systems import settings_of, system_named
from encours.translation import translated
from identity.authority import Authority
from identity.bearer import OAuthAuth
from identity.checkpoints import CheckpointFiles
from identity.consents import Tell
from identity.inventory import Holding
from identity.kms import LocalKms
from identity.secret import Secret
from identity.signing import OriginAuth
from receivables.crash import passing
from receivables.errors import HubError, Misconfigured
from receivables.store import (
    Ageing,
    By,
    ClosingRow,
    RejectRow,
    RunRow,
    Statement,
    Store,
    SuspectRow,
    Waiver,
    utc_now,
)

DAY = 24 * 60


class Hub:
    """One installation, wired from its settings; `clock` gives aware moments, `sleep` pauses."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.settings = settings
        self.clock = clock
        database = Database(settings)
        self.app = database.app
        self.registry = Registry(self.app)
        self.store = Store(self.app, clock)
        self.authority = Authority(
            database.identity,
            LocalKms(settings.key_file),
            clock,
            CheckpointFiles(settings.checkpoints),
            sleep=sleep,
            passing=passing,
        )
        self.access = Lending(settings, self.authority, clock, sleep)
        self.security = Security(self.registry, self.authority, self.store, clock, settings.private_networks)
        self._sleep = sleep

    @classmethod
    def from_environment(cls) -> Self:
        """The hub that the environment (ENCOURS_*) describes."""
        return cls(Settings())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """Leaves nothing open: each call has had a connection of its own."""

    # -- reading and publishing ---------------------------------------------------------------------------

    def sync(
        self,
        key: str,
        *,
        sweep: bool | None = None,
        publish: bool = True,
        progress: Report | None = None,
        replay: Sequence[RejectRow] = (),
        period: syncing.Period | None = None,
    ) -> syncing.SyncResult:
        """Pulls one connector now and publishes if the books agree; `sweep` None: once a day of the tenant.

        With `publish` False it is held even so, because it was asked for, until the next run takes its place.
        `replay` are rejects whose rows come in again, `period` the days of posting that are read again.
        Raises Conflict when it runs already, Misconfigured, Rejected and Transient (and its RateLimited).
        A difference is no error: the result's state is `held`.
        """
        connector = self.registry.connector(key)
        with self.access(connector) as (system, access, auth):
            return syncing.sync(
                store=self.store,
                connect=self.app,
                authority=self.authority,
                connector=connector,
                system=system,
                access=access,
                auth=auth,
                clock=self.clock,
                sleep=self._sleep,
                sweep=sweep,
                publish=publish,
                report=progress or (lambda _: None),
                replay=replay,
                period=period,
            )

    def test(self, key: str) -> Iterator[Check]:
        """Checks step by step what a sync needs; writes nothing but the audit's entry of the uses."""
        connector = self.registry.connector(key)
        with self.access(connector) as (system, access, auth):
            try:
                if isinstance(auth, OAuthAuth):
                    yield (check := checked("Credentials", partial(_obtained, auth, key)))
                    if not check.ok:
                        return
                yield from system.test(access)
            finally:
                if auth is not None:
                    self._record_used(connector, auth)

    def _record_used(self, connector: Connector, auth: OriginAuth) -> None:
        with self.app() as connection:
            connection.execute("select set_config('app.tenant', %s, true)", [str(connector.tenant_id)])
            self.authority.audit.record_used(
                connection,
                tenant_id=connector.tenant_id,
                credential_id=auth.credential_id,
                connector=connector.key,
                run=None,
                uses=auth.uses,
                tokens=auth.tokens,
            )

    def overview(self, keys: Collection[str] | None = None) -> list[ConnectorStatus]:
        """Every connector, or these, as the console and `encours status` show it, what needs a look first."""
        shown = [c for c in self.registry.connectors() if keys is None or c.key in keys]
        ended = self.authority.inventory.ended({c.tenant_id for c in shown})
        return standing.overview(shown, self.store, ended, self.clock())

    def tie_out(self, key: str, run: int | None = None) -> TieOutReport:
        """The comparison of this run, or of the latest compared one; Misconfigured if there is none."""
        return standing.tie_out(self.registry.connector(key), self.store, run)

    def ageing(
        self, key: str | None = None, *, as_of: date | None = None, by: By = "customer"
    ) -> list[Ageing]:
        """What was owed at the end of a day, of one connector or of all; see reports.ageing."""
        return reports.ageing(self._chosen(key), self.store, as_of, by, self.clock())

    def statement(
        self, customer: str, *, as_of: date | None = None, connector: str | None = None
    ) -> list[Statement]:
        """What one customer owed at the end of a day; see reports.statement."""
        return reports.statement(self._chosen(connector), self.store, customer, as_of, self.clock())

    def rejects(self, key: str | None = None, state: str | None = "open") -> list[RejectRow]:
        """Rejects of one connector or of all, newest first; `state` None: in any."""
        return listing.rejects(self._chosen(key), self.store, state)

    def reject(self, reject_id: int) -> RejectRow:
        """One reject with its raw row; see listing.reject."""
        return listing.reject(self.registry.connectors(), self.store, reject_id)

    def runs(
        self, key: str | None = None, *, state: str | None = None, limit: int = 20
    ) -> list[tuple[str, RunRow]]:
        """The latest runs of one connector or of all, newest first, each with the connector's key."""
        return listing.runs(self._chosen(key), self.store, state, limit)

    def run(self, key: str, number: int) -> RunRow:
        """One run of a connector; see listing.run."""
        return listing.run(self.registry.connector(key), self.store, number)

    def waivers(self, key: str | None = None) -> list[Waiver]:
        """The waivers of one connector or of all, newest first, also those that are over."""
        return listing.waivers(self._chosen(key), self.store)

    def readable(self, key: str, rejects: Sequence[RejectRow]) -> list[RejectRow]:
        """Those of a connector's rejects whose rows can be read now; see replay.readable."""
        connector = self.registry.connector(key)
        with self.access(connector) as (system, access, _):
            return replaying.readable(self.store, connector.tenant_id, system, access, rejects)

    def decisions(self, key: str) -> Decisions:
        """What the person at the keyboard may decide of the connector's held run, waivers and rejects."""
        connector = self.registry.connector(key)
        system = system_named(connector.system)
        return Decisions(
            store=self.store,
            registry=self.registry,
            connector=connector,
            system=system,
            settings_digest=settings_digest(settings_of(connector.system, connector.settings, key)),
            controllers=self.settings.controllers,
            by=person(),
            now=self.clock(),
        )

    def suspects(self, key: str | None = None) -> list[SuspectRow]:
        """Open lines that the last sweep of one connector, or of each, did not show."""
        return [s for c in self._chosen(key) for s in self.store.suspects(c.tenant_id, c.connector_id, c.key)]

    def closings(self, key: str | None = None) -> list[ClosingRow]:
        """What closed because one connector's ERP, or any, does not show it any more; newest first."""
        found = [
            r for c in self._chosen(key) for r in self.store.closings(c.tenant_id, c.connector_id, c.key)
        ]
        return sorted(found, key=lambda closing: closing.closed_at, reverse=True)

    def _chosen(self, key: str | None) -> list[Connector]:
        return [self.registry.connector(key)] if key else self.registry.connectors()

    # -- connectors ---------------------------------------------------------------------------------------

    def add_connector(
        self,
        *,
        system: str,
        key: str,
        tenant: str,
        settings: Mapping[str, Any],
        credential: Typed | UUID | None,
        schedule: str | None = None,
        blackout: str | None = None,
        deadline_minutes: int = DAY,
        tolerance: Mapping[str, str] | None = None,
        paused_reason: str | None = None,
    ) -> Connector:
        """Adds a connector; an unknown tenant is added with its zone. Checks before it writes.

        Without a schedule it runs every hour, at a minute of its own; never in the minutes of `blackout`.
        """
        checked = settings_of(system, settings, key)
        refuse_needless(key, system_named(system), credential)
        zone = str(getattr(checked, "zone", "UTC"))
        owner = self.registry.add_tenant(tenant, tenant, zone)
        credential_id = credential if isinstance(credential, UUID) else None
        typed = None if isinstance(credential, UUID) else credential
        if typed is not None:
            with translated(key):
                credential_id = self.authority.credentials.create(
                    owner.tenant_id,
                    material(system_named(system), checked, typed),
                    label=key,
                    by=person(),
                )
        now = self.clock()
        try:
            return self.registry.add(
                Connector(
                    connector_id=0,
                    tenant_id=owner.tenant_id,
                    tenant=owner.key,
                    tenant_name=owner.name,
                    zone=owner.zone,
                    key=key,
                    system=system,
                    settings=checked.model_dump(mode="json"),
                    credential_id=credential_id,
                    schedule=schedule or hourly(key),
                    deadline_minutes=deadline_minutes,
                    tolerance=dict(tolerance or {}),
                    state="paused" if paused_reason else "active",
                    paused_reason=paused_reason,
                    changed_by=person(),
                    changed_at=now,
                    activated_at=now,
                    blackout=blackout,
                )
            )
        except HubError:
            # Vault and registry are different roles, so this is not one transaction.
            if typed is not None and credential_id is not None:
                self.authority.credentials.remove(owner.tenant_id, credential_id, by=person())
            raise

    def change(self, key: str, changes: Mapping[str, Any]) -> Connector:
        """Changes fields of a connector, as configuration.py names them."""
        connector = self.registry.connector(key)
        wanted = dict(changes)
        if "settings" in wanted:
            wanted["settings"] = settings_of(connector.system, wanted["settings"], key).model_dump(
                mode="json"
            )
        if "credential" in wanted:
            wanted["credential_id"] = UUID(wanted.pop("credential"))
        for fixed in ("system", "tenant"):
            if fixed in wanted:
                raise Misconfigured(
                    f"{key}: {fixed} cannot be changed. Remove the connector and add it again."
                )
        return self.registry.change(connector, **wanted, changed_by=person())

    def pause(self, key: str, reason: str) -> Connector:
        """Stops the schedule, for this reason."""
        if not reason.strip():
            raise Misconfigured(f"{key}: say why it is paused.")
        connector = self.registry.connector(key)
        return self.registry.change(connector, state="paused", paused_reason=reason, changed_by=person())

    def resume(self, key: str) -> Connector:
        """Starts the schedule again."""
        connector = self.registry.connector(key)
        return self.registry.change(connector, state="active", paused_reason=None, changed_by=person())

    def remove(self, key: str) -> None:
        """Forgets the connector, and its credential if no other connector signs with it."""
        connector = self.registry.connector(key)
        self.registry.remove(connector)
        used = {c.credential_id for c in self.registry.connectors()}
        if connector.credential_id and connector.credential_id not in used:
            with translated(key):
                self.authority.credentials.remove(connector.tenant_id, connector.credential_id, by=person())

    def replace_credential(self, key: str, credential: Typed) -> None:
        """Replaces what the connector signs in with; a first one is created."""
        connector = self.registry.connector(key)
        refuse_needless(key, system_named(connector.system), credential)
        settings = settings_of(connector.system, connector.settings, key)
        with translated(key):
            content = material(system_named(connector.system), settings, credential)
            if connector.credential_id:
                self.authority.credentials.replace(
                    connector.tenant_id, connector.credential_id, content, by=person()
                )
                return
            credential_id = self.authority.credentials.create(
                connector.tenant_id, content, label=key, by=person()
            )
        self.registry.change(connector, credential_id=credential_id, changed_by=person())

    def describe(self, key: str) -> tuple[Connector, Holding | None]:
        """A connector, and what may be shown of its credential and of the token that it holds."""
        connector = self.registry.connector(key)
        if connector.credential_id is None:
            return connector, None
        with translated(key):
            return connector, self.authority.inventory.holding(connector.tenant_id, connector.credential_id)

    def connect(self, key: str, consent: Tell | Secret) -> None:
        """Keeps the consent that a person gives to a connector's credential; see consenting."""
        consenting.connect(
            self.registry.connector(key),
            consent,
            authority=self.authority,
            networks=self.settings.private_networks,
            by=person(),
        )

    def keep_alive(self) -> list[tuple[str, str | None]]:
        """Renews grants that would end because nobody used them.

        Gives the key of a connector of each that was due, and what hindered its renewal, if anything.
        """
        connectors, networks = self.registry.connectors(), self.settings.private_networks
        renewed = keep_alive(connectors, self.authority, networks, self.clock())
        return [(connector.key, None if error is None else str(error)) for connector, error in renewed]


def _obtained(auth: OAuthAuth, key: str) -> str:
    """Gets a token, if there is none that is good."""
    with translated(key):
        token = auth.obtained()
    return f"The provider has given a token, which ends at {token.expires_at:%H:%M:%S} UTC."


def person() -> str:
    """Who types: the operating system's name of the user, for the audit and the registry."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown user"


def hourly(key: str) -> str:
    """Every hour at a minute that the key decides: hundreds of connectors do not start together."""
    return f"{zlib.crc32(key.encode()) % 60} * * * *"
