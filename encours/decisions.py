"""What one person decides of one connector's held run: publish it, discard it, or waive its difference.

A held run is published through the same gate as any: with the ERP's totals that it was compared with, the
waivers of today and the invariants once more. Refuses to publish what was held for a reason that publishing
does not mend, and a waiver by somebody who is not a controller or who changed the connector within the day.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from connectors.kit.stream import System
from encours.registry import Connector, Registry
from encours.sync import WHY_LOOK, to_be_seen, told, word
from receivables.errors import Conflict, Misconfigured
from receivables.rejects import RejectRow, waive
from receivables.run import LookFirst
from receivables.store import Held, Run, Store, TieOut, Waiver
from receivables.waivers import Place, add, end, gaps

LOOKED_AT: Final = ("asked", "settings")  # held for people to look at it, and for nothing else
DAY: Final = timedelta(days=1)
LONGEST: Final = 31  # days that a waiver may last
REASON: Final = (10, 500)  # characters
INSTEAD: Final = {
    "difference": "The books differ. Mend them in the ERP and sync, or: encours waive {key} --help",
    "reject": "Rows were set aside: encours rejects list --connector {key}",
    "invariant": "What was worked out contradicts itself, which is a defect: please report it.",
}


@dataclass(frozen=True)
class Decided:
    """What became of a held run: `published`, `superseded` (discarded), or `held` still, with a sentence."""

    connector: str
    run: int
    state: str
    sentence: str
    by: str
    publication: int | None = None
    grade: str = "none"


@dataclass(frozen=True)
class Waived:
    """The waivers that are in force now, one for each place, and what became of the run that differed."""

    waivers: list[Waiver]
    run: Decided


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """The decisions that `by` may take on the connector at the moment `now`."""

    store: Store
    registry: Registry
    connector: Connector
    system: System
    settings_digest: int
    controllers: Collection[str]  # empty: everybody who may run commands here
    by: str
    now: datetime

    def publish(self) -> Decided:
        """Publishes the held run; raises Conflict if it is held for another reason than to be looked at."""
        with self._taken() as (run, held):
            if held.reason not in LOOKED_AT:
                instead = INSTEAD[held.reason].format(key=self.connector.key)
                raise Conflict(f"{self.connector.key}, run {run.number} is held ({held.reason}). {instead}")
            return self._released(run, held)

    def discard(self, number: int) -> Decided:
        """Gives up the held run of this number and all that it read; raises Conflict for another number."""
        with self._taken() as (run, _):
            if run.number != number:
                raise Conflict(f"{self.connector.key}: run {number} is not held, run {run.number} is.")
            sentence = f"Discarded by {self.by}."
            run.discard(sentence)
            return Decided(self.connector.key, number, "superseded", sentence, self.by)

    def waive(self, where: Mapping[str, str], up_to: Decimal | None, reason: str, last_day: date) -> Waived:
        """Waives what the latest comparison found different, and publishes its run if it is held still.

        `where` picks among the places by entity, account, basis and currency; `up_to` is for one place alone,
        by default the difference itself; `last_day` is one of the tenant's. Raises Misconfigured, Conflict.
        """
        self._check(reason)
        until = self._until(last_day)
        number, places = self._different(where)
        if up_to is not None:
            places = self._up_to(places, up_to)
        with self.store.deciding(self.connector.tenant_id) as cursor:
            for place, largest in places.items():
                rule = {"run": number, "largest": largest, "reason": reason.strip(), "owner": self.by}
                add(cursor, self._scope, place, {**rule, "now": self.now, "until": until})
        made = self.store.waivers(**self._scope, connector=self.connector.key)[: len(places)]
        return Waived(made, self._released_now())

    def waive_reject(self, reject: RejectRow, reason: str) -> None:
        """Runs go on without this row while it comes unchanged; raises Misconfigured unless it is open."""
        self._check(reason)
        with self.store.deciding(self.connector.tenant_id) as cursor:
            waive(cursor, reject, self.by, reason.strip(), self.now)

    def end_waiver(self, waiver_id: int) -> None:
        """Ends a waiver: it is not applied any more. Raises Misconfigured if it is over already."""
        with self.store.deciding(self.connector.tenant_id) as cursor:
            if not end(cursor, waiver_id, self.by, self.now):
                raise Misconfigured(f"Waiver {waiver_id} of {self.connector.key} is over already.")

    # -- the run ------------------------------------------------------------------------------------------

    @property
    def _scope(self) -> dict[str, int]:
        return {"tenant_id": self.connector.tenant_id, "connector_id": self.connector.connector_id}

    def _taken(self) -> AbstractContextManager[tuple[Run, Held]]:
        return self.store.take_held(**self._scope, connector=self.connector.key, by=self.by)

    def _released(self, run: Run, held: Held) -> Decided:
        """Compares again with the totals that were kept, and publishes; Conflict if the gate stays shut."""
        lines = self._compared(run, held)
        proven = bool(run.kept_totals())
        published = run.publish(unproven=not proven, message=told(lines))
        return Decided(
            self.connector.key,
            run.number,
            "published",
            word(lines, proven=proven),
            self.by,
            published.number,
            published.grade,
        )

    def _shown(self, run: Run, held: Held, look_first: LookFirst) -> Decided:
        """Compares again; if the books agree, the run is held to be looked at, with what would change."""
        key = self.connector.key
        self._compared(run, held)
        run.gate(unproven=False)
        changes = run.changes()
        if not to_be_seen(look_first, changes):
            return self._released(run, held)
        run.decided_by = None  # that is for who publishes it
        run.hold(look_first, changes.sentences, message=WHY_LOOK[look_first], look_first=look_first)
        sentence = (
            f"{WHY_LOOK[look_first]}. What would change: encours runs show {key} {run.number}. "
            f"To publish it: encours publish {key}"
        )
        return Decided(key, run.number, "held", sentence, self.by)

    def _compared(self, run: Run, held: Held) -> list[TieOut]:
        """Compares with the totals that were kept; Conflict if rows mean something else today."""
        if (held.adapter, held.settings_digest) != (self.system.version, str(self.settings_digest)):
            key = self.connector.key
            raise Conflict(
                f"{key}, run {run.number} was read with settings or a version that are not those of today. "
                f"Read again: encours sync {key}"
            )
        return run.tie_out(
            run.kept_totals(),
            self.connector.tolerances(),
            absent_is_deleted=self.system.absent_is_deleted,
        )

    def _released_now(self) -> Decided:
        """What becomes of the run that differed: published, or why it is not and stays what it is.

        A run that people are to look at first is from now on held for that alone.
        """
        try:
            with self._taken() as (run, held):
                if held.look_first:
                    return self._shown(run, held, held.look_first)
                return self._released(run, held)
        except (Conflict, Misconfigured) as error:
            last = self.store.runs(self.connector.tenant_id, self.connector.connector_id, limit=1)[0]
            return Decided(self.connector.key, last.number, last.state, str(error), self.by)

    # -- who may waive what -------------------------------------------------------------------------------

    def _check(self, reason: str) -> None:
        key, (least, most) = self.connector.key, REASON
        if self.controllers and self.by not in self.controllers:
            raise Misconfigured(f"{key}: {self.by} may not waive. ENCOURS_CONTROLLERS names who may.")
        if not least <= len(reason.strip()) <= most:
            raise Misconfigured(f"{key}: give a reason of {least} to {most} characters.")

    def _until(self, last_day: date) -> datetime:
        """The end of the tenant's day, in UTC."""
        zone = ZoneInfo(self.connector.zone)
        today = self.now.astimezone(zone).date()
        if not today <= last_day <= today + timedelta(days=LONGEST):
            raise Misconfigured(
                f"{self.connector.key}: a waiver ends today or within {LONGEST} days, not on {last_day}."
            )
        return datetime.combine(last_day + DAY, time.min, zone).astimezone(UTC)

    def _different(self, where: Mapping[str, str]) -> tuple[int, dict[Place, Decimal]]:
        """The number of the latest run that was compared, and what of it differs at the chosen places."""
        key = self.connector.key
        if self.by in self.registry.changers(self.connector, self.now - DAY):
            raise Conflict(
                f"{key}: {self.by} changed its settings within the day, and cannot waive its difference. "
                "Somebody else may."
            )
        found = self.store.tie_outs(self.connector.tenant_id, self.connector.connector_id)
        places = gaps(found.rows) if found else {}
        chosen = {
            place: gap
            for place, gap in places.items()
            if all(getattr(place, name) == value for name, value in where.items())
        }
        if found is None or not chosen:
            there = ", ".join("/".join(place) for place in places) or "nothing"
            raise Misconfigured(
                f"{key}: there is no such difference to waive. Different in the latest comparison: {there}."
            )
        return found.run.number, chosen

    def _up_to(self, places: Mapping[Place, Decimal], up_to: Decimal) -> dict[Place, Decimal]:
        if len(places) > 1:
            there = ", ".join("/".join(place) for place in places)
            raise Misconfigured(
                f"{self.connector.key}: --up-to is for one place, and these differ: {there}. Choose one by "
                "--entity, --account, --basis and --currency."
            )
        ((place, gap),) = places.items()
        if up_to < gap:
            raise Misconfigured(
                f"{self.connector.key}: the difference on {'/'.join(place)} is {gap:f}, more than {up_to:f}."
            )
        return {place: up_to}
