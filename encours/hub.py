"""The hub: everything wired, behind the calls that DAGs, console, command line and tests share.

It is the only translator: identity's errors leave it as the hub's own, with the connector's name.
"""

from __future__ import annotations

import getpass
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from types import TracebackType
from typing import Any, Self
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
import pydantic
from requests import PreparedRequest
from requests.auth import AuthBase

from connectors.kit.http import Post, Session
from connectors.kit.stream import Access, Check, System
from connectors.systems import SYSTEMS
from encours import listing, reports
from encours import overview as standing
from encours import replay as replaying
from encours import sync as syncing
from encours.decisions import Decisions
from encours.overview import ConnectorStatus, TieOutReport
from encours.postgres import Role
from encours.reading import Report, settings_digest
from encours.registry import Connector, Registry
from encours.security import Security
from encours.settings import Settings
from encours.translation import translated
from identity.authority import Authority
from identity.checkpoints import CheckpointFiles
from identity.credentials import Description
from identity.errors import Denied
from identity.kinds import Basic, IntacctLogin, Material
from identity.kms import LocalKms
from identity.ports import Sign
from identity.secret import Secret
from identity.signing import OriginAuth
from receivables.errors import HubError, Misconfigured, Transient
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
PATIENCE = 3  # seconds for a connection to our own database


@dataclass(frozen=True)
class NewCredential:
    """What was typed, on its way into the vault: a user's pair, and for some systems the sender's."""

    user: str
    password: Secret
    sender_id: str | None = None
    sender_password: Secret | None = None


@dataclass(frozen=True)
class Signed:
    """What identity needs to know of a connector."""

    tenant_id: int
    key: str
    credential_id: UUID | None
    origin: str


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
        self.registry = Registry(self.app)
        self.store = Store(self.app, clock)
        self.authority = Authority(
            self._identity, LocalKms(settings.key_file), clock, CheckpointFiles(settings.checkpoints)
        )
        self.security = Security(self.registry, self.authority)
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
            )

    def overview(self) -> list[ConnectorStatus]:
        """Every connector as the console and `encours status` show it, what needs a look first."""
        return standing.overview(self.registry.connectors(), self.store, self.clock())

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
        system = _system(connector.system)
        return Decisions(
            store=self.store,
            registry=self.registry,
            connector=connector,
            version=system.version,
            settings_digest=settings_digest(self.settings_of(connector.system, connector.settings, key)),
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
        credential: NewCredential | UUID | None,
        schedule: str | None = None,
        blackout: str | None = None,
        deadline_minutes: int = DAY,
        tolerance: Mapping[str, str] | None = None,
        paused_reason: str | None = None,
    ) -> Connector:
        """Adds a connector; an unknown tenant is added with its zone. Checks before it writes.

        Without a schedule it runs every hour, at a minute of its own; never in the minutes of `blackout`.
        """
        checked = self.settings_of(system, settings, key)
        _refuse_needless(key, _system(system), credential)
        zone = str(getattr(checked, "zone", "UTC"))
        owner = self.registry.add_tenant(tenant, tenant, zone)
        credential_id = credential if isinstance(credential, UUID) else None
        if isinstance(credential, NewCredential):
            with translated(key):
                credential_id = self.authority.credentials.create(
                    owner.tenant_id, _material(_system(system), checked, credential), label=key, by=person()
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
            if isinstance(credential, NewCredential) and credential_id is not None:
                self.authority.credentials.remove(owner.tenant_id, credential_id, by=person())
            raise

    def change(self, key: str, changes: Mapping[str, Any]) -> Connector:
        """Changes fields of a connector, as configuration.py names them."""
        connector = self.registry.connector(key)
        wanted = dict(changes)
        if "settings" in wanted:
            wanted["settings"] = self.settings_of(connector.system, wanted["settings"], key).model_dump(
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

    def replace_credential(self, key: str, credential: NewCredential) -> None:
        """Replaces what the connector signs in with; a first one is created."""
        connector = self.registry.connector(key)
        _refuse_needless(key, _system(connector.system), credential)
        settings = self.settings_of(connector.system, connector.settings, key)
        with translated(key):
            content = _material(_system(connector.system), settings, credential)
            if connector.credential_id:
                self.authority.credentials.replace(
                    connector.tenant_id, connector.credential_id, content, by=person()
                )
                return
            credential_id = self.authority.credentials.create(
                connector.tenant_id, content, label=key, by=person()
            )
        self.registry.change(connector, credential_id=credential_id, changed_by=person())

    def describe(self, key: str) -> tuple[Connector, Description | None]:
        """A connector and what may be shown of its credential."""
        connector = self.registry.connector(key)
        if connector.credential_id is None:
            return connector, None
        with translated(key):
            return connector, self.authority.credentials.describe(
                connector.tenant_id, connector.credential_id
            )

    def settings_of(self, system: str, settings: Mapping[str, Any], key: str) -> pydantic.BaseModel:
        """The checked settings of a system; raises Misconfigured naming each field that is wrong."""
        try:
            return _system(system).Settings.model_validate(dict(settings))
        except pydantic.ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(str(part) for part in fault['loc']) or 'settings'}: {fault['msg']}"
                for fault in error.errors(include_input=False, include_url=False)
            )
            raise Misconfigured(f"{key}: {faults}.") from None

    # -- connections --------------------------------------------------------------------------------------

    @contextmanager
    def access(self, connector: Connector) -> Iterator[tuple[System, Access, OriginAuth | None]]:
        """What a run or a test may use of a connector: its system, and a session that signs if need be."""
        system = _system(connector.system)
        settings = self.settings_of(connector.system, connector.settings, connector.key)
        lent = partial(
            Access,
            settings=settings,
            now=self.clock(),
            zone=ZoneInfo(str(getattr(settings, "zone", connector.zone))),
            connector=connector.key,
        )
        origin = system.origin(settings)
        if origin is None:
            yield system, lent(session=None), None
            return
        signed = Signed(connector.tenant_id, connector.key, connector.credential_id, origin)
        with (
            translated(connector.key),
            self._session(signed, settings, attempts=1) as unsigned,
        ):
            auth = self.authority.auth(
                signed,
                exchange=partial(_exchange, unsigned),
                company=getattr(settings, "company_id", None),
                endpoints=[host] if (host := getattr(settings, "endpoint_host", "")) else [],
            )
            with self._session(signed, settings, auth=Lent(auth, connector.key)) as http:
                yield system, lent(session=http), auth

    def _session(
        self, signed: Signed, settings: pydantic.BaseModel, *, auth: AuthBase | None = None, attempts: int = 3
    ) -> Session:
        return Session(
            connector=signed.key,
            origin=signed.origin,
            auth=auth,
            private_networks=self.settings.private_networks,
            ca_bundle=getattr(settings, "ca_bundle", None),
            client_certificate=getattr(settings, "client_certificate", None),
            proxy=getattr(settings, "proxy", None),
            attempts=attempts,
            sleep=self._sleep,
        )

    @contextmanager
    def app(self) -> Iterator[psycopg.Connection[Any]]:
        """A connection as the application role, in a transaction; Transient while the database is away."""
        with self._connected("encours_app") as connection:
            yield connection

    @contextmanager
    def _identity(self) -> Iterator[psycopg.Connection[Any]]:
        with self._connected("encours_identity") as connection:
            yield connection

    def _connected(self, role: Role) -> psycopg.Connection[Any]:
        try:
            return psycopg.connect(self.settings.database_url(role), connect_timeout=PATIENCE)
        except psycopg.OperationalError as error:
            start = " Start it: encours up." if self.settings.embedded else f" It says: {error}"
            raise Transient(f"The hub's database does not answer.{start}") from error


class Lent(AuthBase):
    """The authority's power to sign as a session uses it: what it refuses is the hub's own error."""

    def __init__(self, auth: OriginAuth, key: str) -> None:
        self._auth, self._key = auth, key

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Signs; raises Misconfigured and Transient."""
        with translated(self._key):
            return self._auth(request)

    def renew(self, request: PreparedRequest) -> bool:
        """Forgets the session that signed this request; see OriginAuth."""
        return self._auth.renew(request)


def person() -> str:
    """Who types: the operating system's name of the user, for the audit and the registry."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown user"


def hourly(key: str) -> str:
    """Every hour at a minute that the key decides: hundreds of connectors do not start together."""
    return f"{zlib.crc32(key.encode()) % 60} * * * *"


def _refuse_needless(key: str, system: System, credential: NewCredential | UUID | None) -> None:
    """A secret that nothing signs with would only lie in the vault."""
    if system.credential is None and credential is not None:
        raise Misconfigured(f"{key}: {system.title} is asked for no credential. Leave it out.")


def _material(system: System, settings: pydantic.BaseModel, credential: NewCredential) -> Material:
    """The credential as the vault keeps it, of the kind that the system signs in with."""
    if system.credential == Basic.kind:
        return Basic(credential.user, credential.password)
    if credential.sender_id is None or credential.sender_password is None:
        raise Denied("no_sender", f"{system.title} asks for a sender id and its password as well.")
    return IntacctLogin(
        credential.user,
        credential.password,
        str(getattr(settings, "company_id", "")),
        credential.sender_id,
        credential.sender_password,
    )


def _exchange(http: Session, url: str, body: bytes, sign: Sign) -> bytes:
    """A sign-in of identity's, sent by a session of the kit's that has nothing to sign with."""
    post = Post(body, "application/xml", readable=SAID_IN_BODY, sign=sign)
    return http.post(url, post, stream="sign in").body


SAID_IN_BODY = (400, 401, 403)  # statuses of a refused sign-in that says why


def _system(name: str) -> System:
    if name not in SYSTEMS:
        raise Misconfigured(f"There is no system {name!r}. Known: {', '.join(SYSTEMS)}.")
    return SYSTEMS[name]
