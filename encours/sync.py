"""One sync of one connector, from the ERP's first total to the publication.

Reads in the order of the system's plan, stages page by page, compares with the ERP's own books and
publishes only when they agree. Knows no Airflow: DAG, console, command line and tests call it alike,
through Hub.sync.

The ERP goes on posting while we read, so what is compared must be of one moment. Totals are asked for before
and after each pass over the rows: equal ones say that the books were the same at the end of the first and at
the beginning of the second. Published is what agrees with such totals. Else what changed since is read again,
in further passes; held is only what still differs after a pass that found nothing new between equal totals.
What does not come to rest in three further passes ends as `moving`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from connectors.kit.stream import Access, Difference, Explained, System
from encours import replay as replaying
from encours.reading import Reading, Report, settings_digest
from encours.registry import Connect, Connector
from identity.authority import Authority
from identity.signing import OriginAuth
from receivables.changes import Changes
from receivables.errors import Fatal, Moved
from receivables.run import Also, HoldingReject, LookFirst
from receivables.store import RejectRow, Run, Store, TieOut

Period = tuple[date, date]  # the first day, and the first day after
FURTHER_PASSES = 3  # over what changed while we read


@dataclass(frozen=True)
class SyncResult:
    """What one sync did; `state` is published or held. Amounts are exact; `seconds` is wall time.

    `changes` is what readers see otherwise once it is published, where a person asked or is to look at it.
    """

    connector: str
    run: int
    state: str
    verdict: str  # equal, within tolerance, waived with the difference, not proven, or held with the reason
    publication: int | None
    mode: str
    grade: str
    rows_read: int
    rows_staged: int
    rejects: int
    seconds: float
    totals: list[TieOut]
    differences: list[TieOut]
    explanation: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # what does not fit and does not hold
    reason: str | None = None  # why it is held: difference, invariant, reject, settings, asked
    changes: Changes | None = None


def sync(
    *,
    store: Store,
    connect: Connect,
    authority: Authority,
    connector: Connector,
    system: System,
    access: Access,
    auth: OriginAuth | None,
    clock: Callable[[], datetime],
    sleep: Callable[[float], None],
    sweep: bool | None,
    publish: bool,
    report: Report,
    replay: Sequence[RejectRow] = (),
    period: Period | None = None,
) -> SyncResult:
    """Pulls and publishes one connector; `clock` and `sleep` time further passes. Raises as Hub.sync does.

    The rows of `replay` are staged before all others, so that what the ERP says of them today counts more;
    what was posted in `period` is read again after the deltas.
    """
    began = time.monotonic()
    erp, places = system.erp(access.settings)
    with store.open_run(
        tenant_id=connector.tenant_id,
        connector_id=connector.connector_id,
        connector=connector.key,
        adapter_version=system.version,
        settings_digest=settings_digest(access.settings),
        now=access.now,
        day=access.now.astimezone(ZoneInfo(connector.zone)).date(),
        sweep=sweep,
        erp=erp,
        places=places,
        special="replay" if replay else "backfill" if period else None,
    ) as run:
        run.replayed = [reject.reject_id for reject in replay]

        def also(connection: psycopg.Connection[Any]) -> None:
            if auth is None:
                return
            authority.audit.record_used(
                connection,
                tenant_id=connector.tenant_id,
                credential_id=auth.credential_id,
                connector=connector.key,
                run=run.number,
                uses=auth.uses,
                tokens=auth.tokens,
            )
            run.signed(connection, auth.credential_id, uses=auth.uses, tokens=auth.tokens)

        try:
            reading = Reading(run, system, access, clock=clock, sleep=sleep, report=report)
            reading.before = replaying.slices(replay)
            reading.after = system.period(access, *period) if period else ()
            return _Conclusion(
                connector=connector,
                system=system,
                run=run,
                reading=reading,
                also=also,
                began=began,
                publish=publish,
            ).reached()
        except Moved:
            run.moving(also)
            raise
        except Fatal as error:
            run.fail(str(error), also)
            raise
        except BaseException:
            # Interrupted or hindered for a while: the run stays `reading` and is resumed; its uses are told.
            with connect() as connection:
                connection.execute("select set_config('app.tenant', %s, true)", [str(connector.tenant_id)])
                also(connection)
            raise


WHY_LOOK: Mapping[LookFirst, str] = {
    "asked": "held: not to be published, as asked",
    "settings": "held: settings changed what rows mean",
}


def to_be_seen(look_first: LookFirst, changes: Changes) -> bool:
    """Whether a run whose books agree waits for people; changed settings that change nothing do not."""
    return look_first == "asked" or bool(changes)


@dataclass(frozen=True, kw_only=True)
class _Conclusion:
    """What becomes of a run: published if the books agree and it is asked for."""

    connector: Connector
    system: System
    run: Run
    reading: Reading
    also: Also
    began: float
    publish: bool

    def reached(self) -> SyncResult:
        """Reads until ours and the ERP's books are of one moment, then publishes or holds; raises Moved."""
        self.reading.everything()
        for number in range(1, FURTHER_PASSES + 1):
            if result := self._of_one_moment():
                return result
            self.reading.again(number)
        if result := self._of_one_moment():
            return result
        raise Moved(
            f"{self.connector.key}: the books moved while we read, also in {FURTHER_PASSES} further passes. "
            "The last publication stays; the next run tries again."
        )

    def _of_one_moment(self) -> SyncResult | None:
        """Publishes or holds; None if what was read and the totals may be of different moments."""
        if not self.reading.still:
            return None
        lines = self.run.tie_out(
            self.reading.totals,
            self.connector.tolerances(),
            absent_is_deleted=self.system.absent_is_deleted,
        )
        self.run.notes += self.reading.warnings
        rejects = self.run.holding_rejects()
        differences = [line for line in lines if line.status == "different"]
        if not (differences or rejects or self.run.broken):
            return self._agreed(lines)
        if not (rejects or self.reading.quiet):
            return None
        return self._held(lines, differences, rejects)

    @property
    def _look_first(self) -> LookFirst | None:
        """Why somebody is to look at the run before it is published, whatever else it is held for."""
        if not self.publish:
            return "asked"
        return "settings" if self.run.opened.settings_changed else None

    def _held(
        self, lines: list[TieOut], differences: Sequence[TieOut], rejects: Sequence[HoldingReject]
    ) -> SyncResult:
        explanation = [
            f"{r.stream} {r.key or 'without a readable key'}, field {r.field}: {r.message}" for r in rejects
        ]
        explanation += [line.sentence for line in self._explained(differences)]
        explanation += self.run.broken
        if rejects:
            reason, why = "reject", f"{len(rejects)} rows were set aside"
        elif differences:
            reason, why = "difference", differ(differences)
        else:
            reason, why = "invariant", "what was worked out contradicts itself"
        verdict = f"held: {why}"
        self.run.hold(reason, explanation, self.also, message=verdict, look_first=self._look_first)
        return self._result("held", verdict, lines, explanation=explanation, reason=reason)

    def _agreed(self, lines: list[TieOut]) -> SyncResult:
        """Publishes, unless somebody is to look first at what readers would see otherwise."""
        look_first, proven = self._look_first, bool(self.reading.totals)
        changes = self.run.changes() if look_first or self.run.mode == "backfill" else None
        if look_first and changes is not None and to_be_seen(look_first, changes):
            seen, verdict = changes.sentences, WHY_LOOK[look_first]
            self.run.hold(look_first, seen, self.also, message=verdict, look_first=look_first)
            return self._result("held", verdict, lines, reason=look_first, explanation=seen, changes=changes)
        verdict = word(lines, proven=proven)
        done = self.run.publish(self.also, unproven=not proven, message=told(lines))
        return self._result(
            "published", verdict, lines, publication=done.number, grade=done.grade, changes=changes
        )

    def _explained(self, differences: Sequence[TieOut]) -> Sequence[Explained]:
        if not differences:
            return []
        asked = [
            Difference(
                entity=line.entity,
                account=line.account,
                basis=line.basis,
                currency=line.currency,
                customer=line.customer,
                erp=str(line.erp),
                hub=str(line.hub),
            )
            for line in differences
        ]
        return self.system.explain(self.reading.access, asked, self._ours)

    def _ours(self, place: Difference, as_of: date) -> list[tuple[str, str]]:
        return self.run.our_documents(
            place.entity, place.account, place.currency, place.customer, as_of, basis=place.basis
        )

    def _result(
        self,
        state: str,
        verdict: str,
        lines: list[TieOut],
        *,
        publication: int | None = None,
        grade: str = "none",
        explanation: list[str] | None = None,
        reason: str | None = None,
        changes: Changes | None = None,
    ) -> SyncResult:
        return SyncResult(
            connector=self.connector.key,
            run=self.run.number,
            state=state,
            verdict=verdict,
            publication=publication,
            mode=self.run.mode,
            grade=grade,
            rows_read=self.reading.rows,
            rows_staged=self.reading.staged,
            rejects=self.reading.rejects,
            seconds=round(time.monotonic() - self.began, 3),
            totals=[line for line in lines if line.customer is None],
            differences=[line for line in lines if line.status == "different"],
            explanation=explanation or [],
            notes=self.run.notes,
            reason=reason,
            changes=changes,
        )


def word(lines: Sequence[TieOut], *, proven: bool) -> str:
    """The verdict on books that are published."""
    if not proven:
        return "not proven"
    within = any(line.status == "within" for line in lines)
    return told(lines) or ("within tolerance" if within else "equal")


def told(lines: Sequence[TieOut]) -> str | None:
    """What is to be kept beside a publication: which difference it was published with, if with any."""
    waived = [line for line in lines if line.status == "waived"]
    return f"waived: {differ(waived)}" if waived else None


def differ(differences: Sequence[TieOut]) -> str:
    """The differences of whole accounts, or of customers where those cancel: per basis never added up."""
    whole = [line for line in differences if line.customer is None and line.basis == "company"]
    shown = whole or differences
    parts = [
        f"{line.difference:,f} {line.currency} on {line.entity}/{line.account}" for line in shown[:SHOWN]
    ]
    rest = f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
    return "the books differ by " + ", ".join(parts) + rest


SHOWN = 3
