"""What vanished: lines that we hold and the ERP does not show any more, and the two proofs that close one.

A line that a sweep does not show is suspect and stays open. It closes only with a second proof: the ERP's own
record of its deletion, a read by key that shows it cleared, a read by key that finds nothing where that means
deletion, or a second sweep. Where the line was merely not seen, the general ledger decides as well: it must
agree without the line and differ with it, for one who may not see an item sees as little of it twice. An
entity of which the sweep shows fewer than half of the open lines that we hold closes nothing. Source: design,
the model's "Deletes".
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from receivables.applying import SQL as APPLYING
from receivables.queries import queries
from receivables.records import ControlTotal
from receivables.staging import set_tenant
from receivables.tie_out import SQL as BOOKS
from receivables.tie_out import TieOut

SQL = queries(__file__)
ENOUGH: Final = Decimal("0.5")  # of the open lines held, what a sweep must show to say what is gone
NOTES: Final = 20  # notes of one run
NOT_SHOWN: Final = "A read by key does not find it"
AGREES: Final = "the ledger agrees without it and differs with it."

Account = tuple[str, str, str]  # entity, account, company currency


class Suspect(NamedTuple):
    """A line that nothing showed; amounts are signed as they add to the balance."""

    number: str
    entity: str
    fiscal_year: str
    line: str
    account: str
    receipt: bool
    printed: str
    customer: str
    currency: str
    amount: Decimal  # what is open of it
    record: str | None  # the ERP's record of its deletion
    company_currency: str
    counted: Decimal  # what it adds to its control account
    posted_on: str
    paid_in_part: bool  # what was put on it stands on lines of its own
    first_run: int | None  # the earlier run whose sweep did not show it


class Vanished:
    """The suspects and closings of one run, on the run's connection."""

    def __init__(self, connection: psycopg.Connection[Any], scope: Mapping[str, Any], run: int) -> None:
        self._connection = connection
        self._scope = scope
        self._unswept = f"The sweep of run {run} does not show it."
        self._small: list[str] = []
        self.open = 0  # suspects that stay open

    # -- suspecting ---------------------------------------------------------------------------------------

    def suspect(self, *, swept: bool) -> list[tuple[str, str, str]]:
        """Finds the suspects; (entity, fiscal year, number) of the documents and receipts to read by key."""
        with self._connection.transaction(), self._connection.cursor() as cursor:
            set_tenant(cursor, self._scope["tenant_id"])
            cursor.execute(SQL["forget_suspects"], self._scope)
            cursor.execute(SQL["forget_closings"], self._scope)  # else a resumed run would not hold them
            self._small, self.open = [], 0
            if swept:
                asked = {**self._scope, "enough": ENOUGH}
                small = cursor.execute(_filled("small_sweeps"), asked).fetchall()
                self._small = [
                    f"The sweep shows {shown} of {held} open lines of {entity}: too few to tell what is "
                    "gone, so it closes nothing."
                    for entity, shown, held in small
                ]
                asked = {**self._scope, "small": [entity for entity, *_ in small]}
                self.open = cursor.execute(_filled("find_unswept"), asked).rowcount
            cursor.execute(_filled("find_deleted"), self._scope)
            return cursor.execute(SQL["by_key"], self._scope).fetchall()

    # -- closing ------------------------------------------------------------------------------------------

    def close(
        self,
        totals: Sequence[ControlTotal],
        compare: Callable[[], list[TieOut]],
        *,
        absent_is_deleted: bool,
    ) -> tuple[list[TieOut], list[str]]:
        """Stages what closes with two proofs; the comparison without it, and sentences about what stays open.

        `absent_is_deleted`: a read by key that finds nothing says that the ERP has deleted it.
        """
        candidates = self._candidates()
        recorded = [one for one in candidates if one.record]
        self._close((one, str(one.record), f"{NOT_SHOWN}.") for one in recorded)
        compared = compare()
        unseen = [one for one in candidates if not one.record]
        told: Counter[tuple[str, str, str]] = Counter()
        proven: list[tuple[Suspect, str, str]] = []
        for verdict, lines in _Ledger(totals, compared).by_verdict(unseen):
            for one in lines:
                second = _second_proof(one, absent_is_deleted=absent_is_deleted)
                if verdict == WITHOUT and second and not one.paid_in_part:
                    proven.append((one, self._unswept, second))
                else:
                    told[one.entity, one.customer, _why_open(one, verdict)] += 1
        if proven:
            self._close(proven)
            compared = compare()
        self.open = sum(told.values())
        return compared, [*self._small, *(_sentence(*group, lines) for group, lines in told.items())][:NOTES]

    def _candidates(self) -> list[Suspect]:
        """The suspects that nothing showed since they were found; those found cleared are kept as such."""
        with (
            self._connection.transaction(),
            self._connection.cursor(row_factory=class_row(Suspect)) as cursor,
        ):
            set_tenant(cursor, self._scope["tenant_id"])
            cursor.execute(SQL["forget_closings"], self._scope)
            found = cursor.execute(_filled("candidates"), self._scope).fetchall()
            cursor.execute(_filled("found_cleared"), {**self._scope, "unswept": self._unswept})
            return found

    def _close(self, closings: Iterable[tuple[Suspect, str, str]]) -> None:
        rows = [
            {**self._scope, **one._asdict(), "first_proof": first, "second_proof": second}
            for one, first, second in closings
        ]
        if not rows:
            return
        with self._connection.transaction(), self._connection.cursor() as cursor:
            set_tenant(cursor, self._scope["tenant_id"])
            cursor.executemany(SQL["close"], rows)
            for query in ("drop_items", "drop_receipts", "drop_allocations", "drop_documents"):
                cursor.execute(SQL[query], self._scope)

    def withdraw(self) -> None:
        """Stages the withdrawal of what closes: lines, what they paid and were paid with, and documents."""
        with self._connection.transaction(), self._connection.cursor() as cursor:
            set_tenant(cursor, self._scope["tenant_id"])
            for query in (SQL["withdraw_lines"], SQL["withdraw_allocations"], APPLYING["withdraw_documents"]):
                cursor.execute(query, self._scope)

    # -- keeping ------------------------------------------------------------------------------------------

    def keep_closings(self, cursor: psycopg.Cursor[Any], scope: Mapping[str, Any]) -> None:
        """Keeps what closed, each with its two proofs, in the transaction that publishes."""
        cursor.execute(SQL["keep_closings"], scope)

    def remember(self, cursor: psycopg.Cursor[Any], scope: Mapping[str, Any]) -> None:
        """Keeps who is suspect for the next sweep, once what this run publishes is published."""
        cursor.execute(SQL["absolve"], scope)
        cursor.execute(_filled("remember"), scope)


WITH: Final = "with"  # the ledger still holds the lines
WITHOUT: Final = "without"  # the ledger agrees without the lines and differs with them
NEITHER: Final = "neither"
UNKNOWN: Final = "unknown"  # no ledger tells


class _Ledger:
    """What the general ledger says of suspects: by customer where it tells these apart, else by account."""

    def __init__(self, totals: Iterable[ControlTotal], compared: Iterable[TieOut]) -> None:
        self._days: dict[Account, str] = {}  # as of which the ledger tells whole accounts
        self._days_of_customers: dict[Account, str] = {}
        for t in totals:
            if t.basis == "company" and t.grade == "ledger":
                days = self._days if t.customer is None else self._days_of_customers
                days[t.entity, t.account, t.currency] = t.as_of
        self._gaps = {
            (line.entity, line.account, line.currency, line.customer): line.difference
            for line in compared
            if line.basis == "company" and line.status == "different"
        }

    def by_verdict(self, suspects: Iterable[Suspect]) -> Iterator[tuple[str, list[Suspect]]]:
        """The suspects that are compared together, with what the ledger says of them."""
        together: defaultdict[tuple[Account, str | None], list[Suspect]] = defaultdict(list)
        unknown = []
        for one in suspects:
            account = (one.entity, one.account, one.company_currency)
            of_customers = account in self._days_of_customers
            day = (self._days_of_customers if of_customers else self._days).get(account)
            if day is None or one.posted_on > day:
                unknown.append(one)
            else:
                together[account, one.customer if of_customers else None].append(one)
        for (account, customer), lines in together.items():
            gap = self._gaps.get((*account, customer), Decimal(0))
            if gap == 0:
                yield WITH, lines
            else:
                yield WITHOUT if gap == -sum(one.counted for one in lines) else NEITHER, lines
        yield UNKNOWN, unknown


def _second_proof(one: Suspect, *, absent_is_deleted: bool) -> str | None:
    """What closes the line beside this run's sweep, if the ledger agrees without it."""
    if absent_is_deleted:
        return f"{NOT_SHOWN}, and {AGREES}"
    if one.first_run is not None:
        return f"The sweep of run {one.first_run} did not show it either, and {AGREES}"
    return None


def _why_open(one: Suspect, verdict: str) -> str:
    if verdict == WITHOUT:
        return PAID_IN_PART if one.paid_in_part else SEEN_ONCE
    return WHY_OPEN[verdict]


WHY_OPEN: Final = {
    WITH: "the ledger still holds {them}: blocked partner or missing authorisation",
    NEITHER: "the ledger agrees neither with {them} nor without",
    UNKNOWN: "no ledger tells whether that is still owed",
}
PAID_IN_PART: Final = "payments that are still shown stand against {them}"
SEEN_ONCE: Final = (
    "the ledger does not hold {them}, and the next sweep closes {them} if it does not show {them}"
)


def _sentence(entity: str, customer: str, why: str, lines: int) -> str:
    whose = f"customer {customer}" if customer else "no customer"
    one = lines == 1
    shown = (
        "1 line {} is no longer shown and stays"
        if one
        else f"{lines} lines {{}} are no longer shown and stay"
    )
    return shown.format(f"of {whose} in {entity}") + f" open: {why.format(them='it' if one else 'them')}."


def _filled(query: str) -> sql.Composed:
    return sql.SQL(SQL[query]).format(lines=sql.SQL(BOOKS["lines"]), published=sql.SQL(SQL["published"]))
