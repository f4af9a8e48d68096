"""The store of receivables: opens runs, one at a time per connector, and reads what was published.

Opening holds a session lock on the run's own connection, so that a second process cannot write into a run,
and takes one of the ERP's places, which all workers share. Refuses a connector that runs already.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row

from receivables import staging
from receivables.ageing import Ageing, By, ageing
from receivables.as_of import View, zones
from receivables.errors import Conflict, Misconfigured, RateLimited
from receivables.publish import Publication
from receivables.reading import (
    ClosingRow,
    RunRow,
    Status,
    SuspectRow,
    TieOutReport,
    closing_rows,
    run_rows,
    status,
    suspect_rows,
    tie_out_report,
)
from receivables.rejects import RejectRow, reject_rows
from receivables.run import SQL as RUN
from receivables.run import LookFirst, Opened, Run
from receivables.run_tokens import LastRun, RunToken, last_runs, run_tokens
from receivables.staging import set_tenant
from receivables.statement import Statement, statement
from receivables.tie_out import TieOut
from receivables.waivers import Waiver, waivers

__all__ = [
    "Ageing",
    "By",
    "ClosingRow",
    "Held",
    "LastRun",
    "Publication",
    "RejectRow",
    "Run",
    "RunRow",
    "RunToken",
    "Statement",
    "Status",
    "Store",
    "SuspectRow",
    "TieOut",
    "TieOutReport",
    "View",
    "Waiver",
]

Connect = Callable[[], AbstractContextManager[psycopg.Connection[Any]]]
WAIT = 30.0  # seconds for a place at the ERP
PAUSE = 0.25  # seconds between two looks
GRACE = 1.0  # seconds in which the server notices that a killed run is gone


SPECIAL = ("replay", "backfill")  # modes of runs that are asked for once, and begun anew when interrupted


def utc_now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Wanted:
    """Which run is asked for: the connector, what gives its rows their meaning, and the tenant's day."""

    tenant_id: int
    connector_id: int
    connector: str
    adapter: str
    settings_digest: str
    now: datetime
    day: date
    sweep: bool | None
    special: str | None = None  # replay or backfill: a run of its own, never resumed


@dataclass(frozen=True)
class Held:
    """Why a run is held (difference, invariant, reject, settings, asked), and what its rows' meaning is.

    `look_first` says why people are to look at it even when that reason is gone.
    """

    reason: str
    adapter: str
    settings_digest: str
    look_first: LookFirst | None


class Store:
    """All receivables of the installation; `connect` gives a new connection as the application role."""

    def __init__(self, connect: Connect, clock: Callable[[], datetime] = utc_now) -> None:
        self._connect = connect
        self._clock = clock

    # -- runs ---------------------------------------------------------------------------------------------

    @contextmanager
    def open_run(
        self,
        *,
        tenant_id: int,
        connector_id: int,
        connector: str,
        adapter_version: str,
        settings_digest: str | int,
        now: datetime,
        day: date,
        sweep: bool | None,
        erp: str,
        places: int,
        wait: float = WAIT,
        special: str | None = None,
    ) -> Iterator[Run]:
        """Opens the connector's next run, or resumes the one that is still reading; leaving frees the locks.

        `sweep` None: the first published run of the tenant's `day` reads all open items again. Nothing
        published yet, or another adapter or other settings since: a snapshot, without bookmarks. `special` is
        `replay` or `backfill`: deltas and what is read beside them; a run that was left takes no part in it.
        Raises Conflict if the connector runs already, RateLimited after `wait` seconds without one of the
        `places`.
        """
        wanted = Wanted(
            tenant_id,
            connector_id,
            connector,
            adapter_version,
            str(settings_digest),
            now,
            day,
            sweep,
            special,
        )
        with self._connect() as connection:
            connection.autocommit = True
            connection.execute(RUN["tune"])
            self._lock(connection, wanted)
            self._take_place(connection, wanted, erp, places, wait)
            opened = self._open(connection, wanted)
            for (stale,) in connection.execute(RUN["stale_staging"], vars(opened)).fetchall():
                staging.forget(connection, stale)
            try:
                yield Run(connection, opened, self._clock)
            finally:
                # Closing alone frees the locks a moment later, when the server notices.
                if connection.info.transaction_status == TransactionStatus.IDLE:
                    connection.execute(RUN["unlock"])

    def _lock(self, connection: psycopg.Connection[Any], wanted: Wanted) -> None:
        until = time.monotonic() + GRACE
        while True:
            (locked,) = connection.execute(RUN["lock_connector"], vars(wanted)).fetchone() or (False,)
            if locked:
                return
            if time.monotonic() >= until:
                break
            time.sleep(PAUSE)
        with connection.transaction(), connection.cursor() as cursor:
            set_tenant(cursor, wanted.tenant_id)
            since = cursor.execute(RUN["running_since"], vars(wanted)).fetchone()
        when = f"since {since[0]:%Y-%m-%d %H:%M} UTC" if since else "in another process"
        raise Conflict(f"{wanted.connector} is running {when}. Wait for it to end.")

    def _take_place(
        self, connection: psycopg.Connection[Any], wanted: Wanted, erp: str, places: int, wait: float
    ) -> None:
        until = time.monotonic() + wait
        while True:
            for place in range(places):
                (taken,) = connection.execute(RUN["lock_place"], {"erp": erp, "place": place}).fetchone() or (
                    False,
                )
                if taken:
                    return
            if time.monotonic() >= until:
                raise RateLimited(
                    f"{wanted.connector}: all {places} places at {erp} are taken by other runs.",
                    retry_after=wait,
                )
            time.sleep(PAUSE)

    def _open(self, connection: psycopg.Connection[Any], wanted: Wanted) -> Opened:
        """Resumes or opens in one transaction; what cannot be used any more is superseded."""
        asked = vars(wanted)
        with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
            set_tenant(cursor, wanted.tenant_id)
            published = cursor.execute(RUN["last_published"], asked).fetchone()
            same = published and _meaning(published) == (wanted.adapter, wanted.settings_digest)
            bookmarks = (
                {row["name"]: row["value"] for row in cursor.execute(RUN["bookmarks"], asked)} if same else {}
            )
            if not published or not same:
                mode = "snapshot"
            elif wanted.special:
                mode = wanted.special
            elif wanted.sweep is None:
                mode = "delta" if published["whole_day"] and published["whole_day"] >= wanted.day else "sweep"
            else:
                mode = "sweep" if wanted.sweep else "delta"
            changed = published is not None and published["settings_digest"] != wanted.settings_digest
            last = cursor.execute(RUN["last_run"], asked).fetchone()
            if last and _resumable(last, wanted, mode):
                return _opened(wanted, last, last["mode"], bookmarks, resumed=True, changed=changed)
            if last:
                if last["state"] == "reading":
                    cursor.execute(RUN["keep_rejects"], {**asked, "run_id": last["run_id"]})
                _supersede(cursor, wanted, last)
            new = cursor.execute(RUN["open"], {**asked, "mode": mode}).fetchone() or {}
            cursor.execute(RUN["mark_staging"], {**asked, **new})
            return _opened(wanted, new, mode, bookmarks, resumed=False, changed=changed)

    @contextmanager
    def take_held(
        self, tenant_id: int, connector_id: int, connector: str, by: str
    ) -> Iterator[tuple[Run, Held]]:
        """Takes up the connector's held run, for this person to publish or discard; leaving frees the lock.

        Raises Misconfigured if no run is held, and Conflict if the connector runs or if what the held run
        staged was lost: it is superseded then.
        """
        now = self._clock()
        wanted = Wanted(tenant_id, connector_id, connector, "", "", now, now.date(), None)
        with self._connect() as connection:
            connection.autocommit = True
            connection.execute(RUN["tune"])
            self._lock(connection, wanted)
            held = self._held(connection, wanted)
            opened = dataclasses.replace(
                _opened(wanted, held, held["mode"], {}, resumed=False),
                day=held["day"],
                adapter=held["adapter"],
                was="held",
            )
            run = Run(connection, opened, self._clock)
            run.decided_by = by
            try:
                yield run, Held(held["reason"], *_meaning(held), held["look_first"])
            finally:
                if connection.info.transaction_status == TransactionStatus.IDLE:
                    connection.execute(RUN["unlock"])

    def _held(self, connection: psycopg.Connection[Any], wanted: Wanted) -> dict[str, Any]:
        with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
            set_tenant(cursor, wanted.tenant_id)
            held = cursor.execute(RUN["held"], vars(wanted)).fetchone()
            if held and not held["staged"]:
                _supersede(cursor, wanted, held)
        key = wanted.connector
        if held is None:
            raise Misconfigured(f"{key}: no run is held. What the last ones did: encours runs list {key}")
        if not held["staged"]:
            raise Conflict(
                f"{key}, run {held['number']}: what it had read was lost when the database crashed, so it is "
                f"superseded. Read again: encours sync {key}"
            )
        return held

    # -- reading what is published ------------------------------------------------------------------------

    def status(self, tenant_id: int, connector_id: int) -> Status:
        """Where the connector stands: its last run, its publication, what it holds and what it set aside."""
        with self._reading(tenant_id) as cursor:
            return status(cursor, tenant_id, connector_id)

    def tie_outs(self, tenant_id: int, connector_id: int, run: int | None = None) -> TieOutReport | None:
        """The comparison of this run (by number) or of the latest compared one; None if there is none."""
        with self._reading(tenant_id) as cursor:
            return tie_out_report(cursor, tenant_id, connector_id, run)

    def rejects(
        self,
        tenant_id: int,
        connector_id: int,
        connector: str,
        *,
        state: str | None = "open",
        reject_id: int | None = None,
    ) -> list[RejectRow]:
        """The connector's rejects, newest first; `state` None: in any, `reject_id`: this one alone."""
        with self._reading(tenant_id) as cursor:
            return reject_rows(cursor, tenant_id, connector_id, connector, state=state, reject_id=reject_id)

    def runs(
        self,
        tenant_id: int,
        connector_id: int,
        *,
        state: str | None = None,
        number: int | None = None,
        limit: int = 20,
    ) -> list[RunRow]:
        """The connector's latest runs, newest first; `number`: this one alone."""
        with self._reading(tenant_id) as cursor:
            return run_rows(cursor, tenant_id, connector_id, state=state, number=number, limit=limit)

    def run_tokens(
        self,
        tenant_id: int,
        *,
        connector_id: int | None = None,
        number: int | None = None,
        token_id: UUID | None = None,
        document: str | None = None,
    ) -> list[RunToken]:
        """What signed the tenant's runs, the latest first; see run_tokens.run_tokens."""
        with self._reading(tenant_id) as cursor:
            return run_tokens(
                cursor,
                tenant_id,
                connector_id=connector_id,
                number=number,
                token_id=token_id,
                document=document,
            )

    def last_runs(self, tenant_id: int) -> list[LastRun]:
        """The last run of each of the tenant's credentials that has signed one."""
        with self._reading(tenant_id) as cursor:
            return last_runs(cursor, tenant_id)

    def suspects(self, tenant_id: int, connector_id: int, connector: str) -> list[SuspectRow]:
        """The connector's open lines that its last sweep did not show."""
        with self._reading(tenant_id) as cursor:
            return suspect_rows(cursor, tenant_id, connector_id, connector)

    def closings(self, tenant_id: int, connector_id: int, connector: str) -> list[ClosingRow]:
        """The connector's lines that closed with two proofs, newest first."""
        with self._reading(tenant_id) as cursor:
            return closing_rows(cursor, tenant_id, connector_id, connector)

    def ageing(self, view: View, by: By) -> Ageing:
        """What was owed at the end of the view's day; Misconfigured if nothing was published by then."""
        with self._reading(view.tenant_id) as cursor:
            return ageing(cursor, view, by)

    def zones(self, tenant_id: int, connector_id: int) -> Mapping[str, ZoneInfo]:
        """The zones of the connector's legal entities whose days do not end with the tenant's, by code."""
        with self._reading(tenant_id) as cursor:
            return zones(cursor, tenant_id, connector_id)

    def statement(self, view: View, customer: str) -> Statement | None:
        """The customer's statement at the end of the view's day; None if the connector did not know it."""
        with self._reading(view.tenant_id) as cursor:
            return statement(cursor, view, customer)

    def waivers(self, tenant_id: int, connector_id: int, connector: str) -> list[Waiver]:
        """The connector's waivers, also those that are over, newest first."""
        with self._reading(tenant_id) as cursor:
            return waivers(cursor, tenant_id, connector_id, connector)

    @contextmanager
    def deciding(self, tenant_id: int) -> Iterator[psycopg.Cursor[Any]]:
        """A transaction in which a decision is written down: see rejects.waive, waivers.add and end."""
        with self._reading(tenant_id) as cursor:
            yield cursor

    @contextmanager
    def _reading(self, tenant_id: int) -> Iterator[psycopg.Cursor[Any]]:
        with self._connect() as connection, connection.transaction(), connection.cursor() as cursor:
            set_tenant(cursor, tenant_id)
            yield cursor


def _meaning(run: dict[str, Any]) -> tuple[str, str]:
    return run["adapter"], run["settings_digest"]


def _resumable(last: dict[str, Any], wanted: Wanted, mode: str) -> bool:
    """Whether a run that was left while reading may go on: nothing lost, and it reads what is asked for."""
    return bool(
        last["state"] == "reading"
        and last["staged"]
        and _meaning(last) == (wanted.adapter, wanted.settings_digest)
        and not wanted.special
        and last["mode"] not in SPECIAL
        and (last["mode"] == mode or wanted.sweep is None)
    )


def _supersede(cursor: psycopg.Cursor[Any], wanted: Wanted, run: dict[str, Any]) -> None:
    """Makes room for the next run; of what was lost the run says so, in place of why it was held."""
    lost = not run["staged"]
    message = "What it had read was lost in a crash." if lost else "Another run took its place."
    cursor.execute(
        RUN["supersede"], {**vars(wanted), "run_id": run["run_id"], "message": message, "lost": lost}
    )


def _opened(
    wanted: Wanted,
    run: dict[str, Any],
    mode: str,
    bookmarks: dict[str, str],
    *,
    resumed: bool,
    changed: bool = False,
) -> Opened:
    return Opened(
        tenant_id=wanted.tenant_id,
        connector_id=wanted.connector_id,
        connector=wanted.connector,
        run_id=run["run_id"],
        number=run["number"],
        mode=mode,
        day=wanted.day,
        adapter=wanted.adapter,
        opened_at=run["opened_at"],
        resumed=resumed,
        bookmarks=bookmarks,
        settings_changed=changed,
    )
