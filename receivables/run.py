"""One sync of one connector, from the lock to its end: published, held, moving, failed, or still reading.

A run is published only when its tie-out says so and no row of what is owed was set aside: there is no other
way to move a bookmark or a row, for a run that was held as well. Refuses a page of which no row can be read,
and a second run of a connector.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Any, Literal
from uuid import UUID

import psycopg
import xxhash
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from receivables import billing, run_tokens, staging, tie_out, waivers
from receivables.aliases import Aliases
from receivables.applying import Applying
from receivables.changes import Changes, changes
from receivables.crash import passing
from receivables.digests import Digests
from receivables.errors import Conflict, Rejected
from receivables.invariants import broken
from receivables.publish import Publication, publish
from receivables.queries import queries
from receivables.records import ControlTotal, Reject
from receivables.staging import Adapted, Page, Slice, Staging, set_tenant
from receivables.tie_out import Books, TieOut
from receivables.vanished import Vanished

SQL = queries(__file__)
# Streams whose rejects do not hold a run: a customer is published without the field, a document without tax,
# and a deletion that could not be read is found by the next sweep.
HARMLESS = ["customers", "billing_documents", "deletions"]
BY_KEY = "/by-key/"  # in the name of a slice that reads a few rows, which say nothing of the others
SPARSE = ("billing_documents", "deletions")  # a page of theirs may be nothing but rows that were set aside

Also = Callable[[psycopg.Connection[Any]], None]  # runs in the transaction that ends the run
LookFirst = Literal["asked", "settings"]  # why people are to look at a run before it is published


@dataclass(frozen=True)
class Opened:
    """What a run knows of itself when it is opened, resumed or, being `held`, taken up again.

    `day` is the tenant's day. `settings_changed` says that settings changed what rows mean since the last
    publication.
    """

    tenant_id: int
    connector_id: int
    connector: str
    run_id: int
    number: int
    mode: str  # snapshot, delta, sweep, replay, backfill
    day: date
    adapter: str
    opened_at: datetime
    resumed: bool
    bookmarks: Mapping[str, str]
    settings_changed: bool = False
    was: str = "reading"  # the state that it ends


@dataclass(frozen=True)
class HoldingReject:
    """A row that was set aside and keeps the run from being published."""

    stream: str
    key: str | None
    code: str
    field: str
    message: str


def nothing_else(_: psycopg.Connection[Any]) -> None:
    """No further work in the transaction that ends the run."""


class Run:
    """An open run; lives as long as the connection that holds its lock (see Store.open_run)."""

    def __init__(
        self, connection: psycopg.Connection[Any], opened: Opened, clock: Callable[[], datetime]
    ) -> None:
        self.opened = opened
        self.broken: list[str] = []  # invariants that keep the run from being published
        self.notes: list[str] = []  # what people should know of a run that may be published all the same
        self.replayed: Sequence[int] = ()  # ids of rejects whose rows this run stages again
        self.decided_by: str | None = None  # who publishes or discards a run that was held
        self._connection = connection
        self._clock = clock
        self._scope = {
            "tenant_id": opened.tenant_id,
            "connector_id": opened.connector_id,
            "run_id": opened.run_id,
            "adapter": opened.adapter,
        }
        self._staging = Staging(connection, self._scope)
        self._applying = Applying(connection, self._scope, self._staging.analyze)
        self._books = Books(connection, self._scope)
        self._vanished = Vanished(connection, self._scope, opened.number)
        self._aliases = Aliases(connection, self._scope)
        self._compared: list[TieOut] | None = None

    @property
    def number(self) -> int:
        """The run's number in its connector, as people see it."""
        return self.opened.number

    @property
    def sweep(self) -> bool:
        """Whether this run reads all open items again."""
        return self.opened.mode == "sweep"

    @property
    def mode(self) -> str:
        """`snapshot` (everything), `delta`, `sweep`, and deltas with a `replay` or a `backfill`."""
        return self.opened.mode

    @property
    def bookmarks(self) -> Mapping[str, str]:
        """How far the published rows reach; empty when everything is to be read."""
        return self.opened.bookmarks

    @property
    def suspects(self) -> int:
        """How many open lines the sweep did not show and nothing closed; see receivables.vanished."""
        return self._vanished.open

    @property
    def done_slices(self) -> Container[str]:
        """The slices that this run has staged to their end, also before it was resumed."""
        return self._staging.done

    # -- reading ------------------------------------------------------------------------------------------

    def totals_before(self, totals: Sequence[ControlTotal]) -> list[ControlTotal]:
        """The control totals of before the first row: these, or those kept when the run was opened first."""
        if not self._staging.totals("before"):
            self._staging.keep_totals("before", totals)
        return self._staging.totals("before")

    def read_so_far(self) -> Mapping[str, str]:
        """Begins a further pass: how far the slices read by now reach, and what they staged is known."""
        return {**self.bookmarks, **self._staging.reached()}

    def news(self) -> bool:
        """Whether a further pass has staged a record that is new or changed, as far as it has got."""
        return self._staging.news()

    def begin_again(self) -> None:
        """Forgets what was staged of a slice that did not end, so that it is read from its first page."""
        self._staging.begin_again()

    def known(self, stream: str) -> Digests:
        """The 16-byte digests of this stream's raw rows as published, or as staged before this pass."""
        return self._staging.known(stream)

    def stage(
        self,
        slice_: Slice,
        page: Page,
        adapted: Adapted,
        digests: Sequence[tuple[bytes, bytes]],
        rejects: Sequence[Reject],
    ) -> None:
        """Stages one page in one transaction.

        `digests` are (native key, 16-byte digest) of the raw rows that became records, and of those set aside
        one that no row has: by the key the digest of before is replaced, so that a row that changes back is
        seen. Raises Rejected, after keeping the rejects, when the page has rows and every one was set aside,
        unless people go on without all of them.
        """
        self._staging.add(slice_, page, adapted.records, digests, rejects)
        self._compared = None
        nothing_read = page.rows and len(rejects) >= len(page.rows) and not adapted.records
        few = slice_.stream in SPARSE or BY_KEY in slice_.name
        if nothing_read and not few and not self._waived(rejects):
            first = rejects[0]
            raise Rejected(
                f"{self.opened.connector}, {slice_.name}: no row of page {page.number} can be read"
                f" ({len(page.rows)} rows). The first: field {first.field}, {first.message}"
                " See all with: encours rejects list."
            )

    def _waived(self, rejects: Sequence[Reject]) -> bool:
        """Whether people go on without every one of these rows."""
        with self._connection.transaction(), self._connection.cursor() as cursor:
            set_tenant(cursor, self.opened.tenant_id)
            known = set(cursor.execute(SQL["waived_rejects"], self._scope))
        return known.issuperset((r.stream, xxhash.xxh3_128_digest(r.raw), r.code, r.field) for r in rejects)

    def unknown_customers(self) -> list[tuple[str, str]]:
        """(entity, number) of the customers that staged items name and of whom no more than that is known."""
        self._staging.settle()
        return self._staging.unknown_customers()

    def unknown_billing(self, after: tuple[str, str] = ("", "")) -> list[tuple[str, str]]:
        """The next (entity, number) of billing documents that documents name and that were never read."""
        self._staging.flush()
        return billing.to_read(self._connection, self._scope, after, everything=self.mode != "delta")

    def accounts(self) -> list[tuple[str, str]]:
        """(entity, account) of every control account that items are on or that the ERP named."""
        return self._books.accounts()

    def to_read_again(self) -> list[tuple[str, str, str]]:
        """(entity, fiscal year, number) of what to read by key.

        What the sweep shows otherwise or not at all, what was deleted, and what is of a customer whose number
        changed.
        """
        self._staging.settle()
        otherwise = self._books.to_read_again() if self.sweep else []
        return sorted({*otherwise, *self._vanished.suspect(swept=self.sweep), *self._aliases.find()})

    # -- comparing ----------------------------------------------------------------------------------------

    def tie_out(
        self,
        totals: Sequence[ControlTotal],
        tolerance: Mapping[str, Decimal],
        *,
        absent_is_deleted: bool = False,
    ) -> list[TieOut]:
        """Compares the ERP's totals of after the last row with ours; raises Rejected for doubled totals.

        Before, what was paid is worked out where the ERP does not state it, and what vanished closes if there
        are two proofs (see receivables.vanished, also for `absent_is_deleted`). Afterwards `broken` says
        which invariants keep the run from being published, `notes` what else does not fit.
        """
        tie_out.refuse_doubled(totals)
        self._staging.settle()
        billing.complete_documents(self._connection, self._scope)
        unapplied = self._applying.apply()
        billing.stage_taxes(self._connection, self._scope)
        self._staging.keep_totals("after", totals)
        compared, still_open = self._vanished.close(
            totals,
            partial(self._books.compare, self.opened.day, tolerance),
            absent_is_deleted=absent_is_deleted,
        )
        self._vanished.withdraw()
        self._aliases.withdraw()
        found = broken(self._connection, self._scope)
        self.broken = [one.sentence for one in found if one.holds]
        self.notes = [*unapplied, *still_open, *(one.sentence for one in found if not one.holds)]
        self._compared = waivers.judged(compared, self._waivers())
        return self._compared

    def signed(
        self,
        connection: psycopg.Connection[Any],
        credential_id: UUID,
        *,
        uses: int,
        tokens: Mapping[UUID, int],
    ) -> None:
        """Keeps how many of the run's requests this credential signed, and each of its tokens if it has any.

        In the transaction of `connection`.
        """
        counts: Iterable[tuple[UUID | None, int]] = tokens.items() if tokens else [(None, uses)]
        run_tokens.keep(connection, self._scope, credential_id, counts, self._clock())

    def kept_totals(self) -> list[ControlTotal]:
        """The ERP's totals of after the last row, as they were compared."""
        return self._staging.totals("after")

    def changes(self) -> Changes:
        """What publishing this run would change; to be asked after its tie-out."""
        return changes(self._connection, self._scope)

    def _waivers(self) -> list[waivers.Waiver]:
        with self._connection.transaction(), self._connection.cursor() as cursor:
            set_tenant(cursor, self.opened.tenant_id)
            return waivers.in_force(cursor, self._scope, self._clock())

    def our_documents(
        self,
        entity: str,
        account: str,
        currency: str,
        customer: str | None,
        as_of: date,
        *,
        basis: str = "company",
    ) -> list[tuple[str, str]]:
        """(number/fiscal_year, amount) of our documents behind one total; customer None: of all customers."""
        return self._books.documents(entity, account, currency, customer, as_of, basis=basis)

    def holding_rejects(self) -> list[HoldingReject]:
        """The first rows set aside in this run that keep it from being published: not those waived."""
        with (
            self._connection.transaction(),
            self._connection.cursor(row_factory=class_row(HoldingReject)) as cursor,
        ):
            set_tenant(cursor, self.opened.tenant_id)
            return cursor.execute(SQL["holding_rejects"], {**self._scope, "harmless": HARMLESS}).fetchall()

    # -- ending -------------------------------------------------------------------------------------------

    def publish(
        self, also: Also = nothing_else, *, unproven: bool = False, message: str | None = None
    ) -> Publication:
        """Makes the run's rows the published ones, in one transaction with everything that depends on it.

        Raises Conflict, and publishes nothing, unless every slice that was begun came to its end, the tie-out
        after the last page is equal, within or waived, no invariant is broken and no row of what is owed was
        set aside. `unproven` is for systems that offer no control totals; `message` is kept with the run.
        """
        self.gate(unproven=unproven)
        self._staging.settle()
        passing("compared")
        scope = {**self._scope, "now": self._clock(), "day": self.opened.day, "look_first": None}
        with self._connection.transaction():
            self._staging.complete_customers()
            with self._connection.cursor() as cursor:
                set_tenant(cursor, self.opened.tenant_id)
                published = publish(
                    self._connection,
                    scope,
                    self._grade(),
                    recount=self.mode in ("snapshot", "sweep"),
                    tell=self.notes.append,
                )
                known = {"harmless": HARMLESS, "replayed": list(self.replayed)}
                cursor.execute(SQL["close_rejects"], {**scope, **known})
                self._vanished.keep_closings(cursor, scope)
                self._aliases.keep(cursor, scope)
                self._end(cursor, scope, "published", message=message)
            also(self._connection)
            passing("merged")
        passing("published")
        staging.forget(self._connection, self.opened.run_id)
        return published

    def hold(
        self,
        reason: str,
        explanation: Sequence[str],
        also: Also = nothing_else,
        *,
        message: str | None = None,
        look_first: LookFirst | None = None,
    ) -> None:
        """Keeps the run's rows unpublished; `reason` is difference, invariant, reject, settings or asked.

        `look_first` says why people are to look at it even when the reason is gone.
        """
        self._leave(
            "held", also, reason=reason, explanation=explanation, message=message, look_first=look_first
        )

    def moving(self, also: Also = nothing_else) -> None:
        """Gives the run up because the ERP went on posting while we read."""
        self._leave("moving", also, message="The books moved while we read.")
        staging.forget(self._connection, self.opened.run_id)

    def fail(self, message: str, also: Also = nothing_else) -> None:
        """Gives the run up because trying again without a change will fail again; the sentence says why."""
        self._leave("failed", also, message=message)
        staging.forget(self._connection, self.opened.run_id)

    def discard(self, message: str) -> None:
        """Gives up a run that was held, and all that it staged; why it was held stays with it."""
        scope = {**self._scope, "now": self._clock(), "message": message, "decided_by": self.decided_by}
        with self._connection.transaction(), self._connection.cursor() as cursor:
            set_tenant(cursor, self.opened.tenant_id)
            cursor.execute(SQL["discard"], scope)
        staging.forget(self._connection, self.opened.run_id)

    def gate(self, *, unproven: bool) -> None:
        """Raises Conflict unless the run may be published; see publish."""
        self._staging.flush()
        who = f"{self.opened.connector}, run {self.opened.number}"
        if self._compared is None and not unproven:
            raise Conflict(f"{who}: rows were staged after the last tie-out, or there was none.")
        unfinished = self._connection.execute(SQL["unfinished"], self._scope).fetchall()
        if unfinished:
            raise Conflict(f"{who}: {unfinished[0][0]} has not been read to its end.")
        if any(line.status == "different" for line in self._compared or ()):
            raise Conflict(f"{who}: the books differ. See: encours tie-out {self.opened.connector}")
        if self.broken:
            raise Conflict(f"{who}: {self.broken[0]}")
        if self.holding_rejects():
            raise Conflict(f"{who}: rows were set aside. See: encours rejects list")

    def _grade(self) -> str:
        """The weakest grade of the whole accounts in company currency, which every publication stands on.

        What is compared beside them, in document currency or by customer, proves more and never less.
        """
        grades = [t.grade for t in self._compared or () if t.basis == "company" and t.customer is None]
        return min(grades, default="none")  # aggregate sorts before ledger

    def _leave(
        self,
        state: str,
        also: Also,
        *,
        reason: str | None = None,
        explanation: Sequence[str] = (),
        message: str | None = None,
        look_first: LookFirst | None = None,
    ) -> None:
        self._staging.flush()
        scope = {**self._scope, "now": self._clock(), "look_first": look_first}
        with self._connection.transaction():
            with self._connection.cursor() as cursor:
                set_tenant(cursor, self.opened.tenant_id)
                self._end(cursor, scope, state, reason=reason, explanation=explanation, message=message)
            also(self._connection)

    def _end(
        self,
        cursor: psycopg.Cursor[Any],
        scope: Mapping[str, Any],
        state: str,
        *,
        reason: str | None = None,
        explanation: Sequence[str] = (),
        message: str | None = None,
    ) -> None:
        """Sets the state and keeps the proof and the rejects, which must outlive the staging."""
        cursor.execute(
            SQL["end"],
            {
                **scope,
                "state": state,
                "reason": reason,
                "message": message,
                "explanation": Jsonb(list(explanation)),
                "suspects": self.suspects,
                "notes": Jsonb(self.notes),
                "was": self.opened.was,
                "decided_by": self.decided_by,
            },
        )
        if cursor.rowcount != 1:
            raise Conflict(f"{self.opened.connector}, run {self.opened.number} is over already.")
        cursor.execute(SQL["keep_rejects"], scope)
        if self._compared is not None:
            self._vanished.remember(cursor, scope)
        for line in self._compared or ():
            row = {**scope, **vars(line), "difference": line.difference}
            cursor.execute(SQL["keep_tie_out"], row)
            for source in ("erp", "hub"):
                total = {"source": source, "closing": row[source], "items": row[f"{source}_items"]}
                cursor.execute(SQL["keep_total"], {**row, **total})
