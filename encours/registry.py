"""The registry: the tenants and connectors of this installation, the only truth about them.

Holds no secret: a connector names its credential by id. Refuses unknown tenants, keys that are taken and
changes made to something that somebody else changed meanwhile.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import psycopg
from croniter import croniter
from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from receivables.errors import Conflict, Misconfigured
from receivables.queries import queries

SQL = queries(__file__)

Connect = Callable[[], AbstractContextManager[psycopg.Connection[Any]]]


@dataclass(frozen=True)
class Tenant:
    """One client company; `zone` is an IANA time zone, that of its schedules."""

    tenant_id: int
    key: str
    name: str
    zone: str


@dataclass(frozen=True)
class Connector:
    """One tenant's configured link to a system; `tolerance` is per ISO 4217 currency.

    `schedule` and `blackout` are cron lines in the tenant's zone: when runs begin, and in which minutes not.
    """

    connector_id: int
    tenant_id: int
    tenant: str
    tenant_name: str
    zone: str
    key: str
    system: str
    settings: Mapping[str, Any]
    credential_id: UUID | None
    schedule: str
    deadline_minutes: int
    tolerance: Mapping[str, str]
    state: str
    paused_reason: str | None
    changed_by: str
    changed_at: datetime
    activated_at: datetime
    blackout: str | None = None

    def rests(self, moment: datetime) -> bool:
        """Whether no scheduled run is to begin at this (aware) moment."""
        return self.blackout is not None and bool(
            croniter.match(self.blackout, moment.astimezone(ZoneInfo(self.zone)))
        )

    def next_run(self, moment: datetime) -> datetime | None:
        """When the schedule begins the next run after this moment; None within LOOK_AHEAD runs."""
        turns = croniter(self.schedule, moment.astimezone(ZoneInfo(self.zone)), ret_type=datetime)
        return next((turn for turn in islice(turns, LOOK_AHEAD) if not self.rests(turn)), None)

    def tolerances(self) -> dict[str, Decimal]:
        """The largest difference per currency that still counts as tied out."""
        return {currency: Decimal(amount) for currency, amount in self.tolerance.items()}


class Registry:
    """Reads and changes tenants and connectors, as the application role."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def tenants(self) -> list[Tenant]:
        """Every tenant, by key."""
        with self._connect() as connection, connection.cursor(row_factory=class_row(Tenant)) as cursor:
            return cursor.execute(SQL["tenants"]).fetchall()

    def tenant(self, key: str) -> Tenant:
        """The tenant of this key; raises Misconfigured naming those that exist."""
        known = self.tenants()
        for tenant in known:
            if tenant.key == key:
                return tenant
        names = ", ".join(t.key for t in known) or "none yet"
        raise Misconfigured(f"There is no tenant {key!r}. Known: {names}.")

    def add_tenant(self, key: str, name: str, zone: str) -> Tenant:
        """Adds a tenant unless it exists; raises Misconfigured for an unknown time zone or a bad key."""
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise Misconfigured(f"{zone!r} is no IANA time zone. Example: Europe/Paris.") from None
        try:
            with self._connect() as connection:
                connection.execute(SQL["add_tenant"], {"key": key, "name": name, "zone": zone})
        except psycopg.errors.CheckViolation:
            raise Misconfigured(f"Tenant {key!r}: {KEY_RULE}") from None
        return self.tenant(key)

    def connectors(self) -> list[Connector]:
        """Every connector of every tenant, by key."""
        with self._connect() as connection, connection.cursor(row_factory=class_row(Connector)) as cursor:
            return cursor.execute(SQL["connectors"]).fetchall()

    def connector(self, key: str) -> Connector:
        """The connector of this key; raises Misconfigured naming those that exist."""
        known = self.connectors()
        for connector in known:
            if connector.key == key:
                return connector
        names = ", ".join(c.key for c in known) or "none yet (encours connectors add --help)"
        raise Misconfigured(f"There is no connector {key!r}. Known: {names}.")

    def add(self, connector: Connector) -> Connector:
        """Adds it (its id and moments are given by the database); raises Conflict when the key is taken."""
        try:
            self._write("add_connector", connector)
        except psycopg.errors.UniqueViolation:
            raise Conflict(f"A connector {connector.key!r} exists already. Choose another key.") from None
        return self.connector(connector.key)

    def change(self, connector: Connector, **changes: Any) -> Connector:
        """Changes fields of it; raises Conflict if somebody changed it since it was read."""
        if self._write("change_connector", dataclasses.replace(connector, **changes)) == 0:
            raise Conflict(
                f"{connector.key} was changed by somebody else meanwhile. Look again, then repeat."
            )
        return self.connector(connector.key)

    def remove(self, connector: Connector) -> None:
        """Takes it out of the registry; what it published stays."""
        self._write("remove_connector", connector)

    def changers(self, connector: Connector, since: datetime) -> set[str]:
        """Who has changed since this moment what is read of the ERP or what counts as equal, or added it."""
        with self._connect() as connection, connection.cursor() as cursor:
            cursor.execute("select set_config('app.tenant', %s, true)", [str(connector.tenant_id)])
            asked = {"connector_id": connector.connector_id, "since": since}
            return {who for (who,) in cursor.execute(SQL["changers"], asked)}

    def _write(self, query: str, connector: Connector) -> int:
        check_schedule(connector.schedule)
        if connector.blackout is not None:
            check_schedule(connector.blackout)
        values = dataclasses.asdict(connector)
        values |= {"settings": Jsonb(values["settings"]), "tolerance": Jsonb(values["tolerance"])}
        try:
            with self._connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
                cursor.execute("select set_config('app.tenant', %s, true)", [str(connector.tenant_id)])
                return cursor.execute(SQL[query], values).rowcount
        except psycopg.errors.CheckViolation:
            raise Misconfigured(f"Connector {connector.key!r}: {KEY_RULE}") from None


KEY_RULE = "a key has 1 to 63 lower-case letters, digits and hyphens, and starts with a letter or digit."


def check_schedule(schedule: str) -> None:
    """Refuses what is no five-field cron line (Misconfigured)."""
    if len(schedule.split()) != CRON_FIELDS or not croniter.is_valid(schedule):
        raise Misconfigured(f"{schedule!r} is no cron schedule of five fields. Example: 17 * * * *.")


CRON_FIELDS = 5
LOOK_AHEAD = 5_000  # runs; a blackout of a week at a run every two minutes
