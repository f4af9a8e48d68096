"""Works out the allocations of a run that an ERP does not state: of its clearings and of its open payments.

Clearings cross pages, slices and runs, so this is done once everything is read: over the current rows with
the staged ones in their place, for the clearings and payments that this run touched and for no others. What
follows is staged beside what was read, under a seq below zero, and is the same however often it is done.
Leaves alone what an ERP states as facts: rows that carry their rest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any, NamedTuple

import msgspec
import psycopg
from psycopg import sql

from receivables.clearing import Line, Paid, clearing, payments
from receivables.kinds import ALLOCATION, OPEN_ITEM, RECEIPT, Kind, columns, same
from receivables.queries import queries
from receivables.records import Allocation
from receivables.staging import WORKED_OUT, copy_rows, set_tenant

SQL = queries(__file__)
BATCH = 5_000  # lines fetched, and allocations staged, at a time
NOTES = 20  # notes of one run
PLACES = len(Line._fields)
Key = tuple[str, ...]


class Payable(NamedTuple):
    """An item, or what pays one (`name`: the item's): a receipt, or a credit that is an item itself.

    The rest is what is open or not applied now, positive.
    """

    line: Line
    staged: bool
    name: str
    pays: bool
    credit: bool
    rest: Decimal
    company_rest: Decimal

    @property
    def key(self) -> Key:
        """Its key, in the order of the kind's columns."""
        return _key(self.line)


class Change(NamedTuple):
    """What amounts a row has once its clearing is worked out or its payments are allocated."""

    key: Key
    staged: bool
    amounts: tuple[Decimal, ...]


class Applying:
    """The allocations of one run, on the run's connection; to `apply` again replaces what it gave before.

    `analyze` tells the database's planner what is staged by now.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        scope: Mapping[str, Any],
        analyze: Callable[[], None],
    ) -> None:
        self._analyze = analyze
        self._connection = connection
        self._scope = scope
        self._place = WORKED_OUT
        self._named: list[Line] = []  # touched without being staged: their allocations may be gone
        self._notes: list[str] = []

    def apply(self) -> list[str]:
        """Stages allocations, open amounts and withdrawals; sentences about what could not be applied."""
        self._place, self._named, self._notes = WORKED_OUT, [], []
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.execute(SQL["forget_allocations"], self._scope)
            cursor.execute(SQL["forget_withdrawals"], self._scope)
        (any_lines,) = self._connection.execute(SQL["any_lines"], self._scope).fetchone() or (False,)
        if any_lines:
            self._step(self._work_out)
            if self._place != WORKED_OUT:
                self._analyze()
            self._step(self._withdraw)
        return self._notes[:NOTES]

    def _step(self, step: Callable[[psycopg.Cursor[Any]], None]) -> None:
        with self._connection.transaction(), self._connection.cursor() as cursor:
            set_tenant(cursor, self._scope["tenant_id"])
            step(cursor)

    def _work_out(self, cursor: psycopg.Cursor[Any]) -> None:
        self._stage(cursor, self._of_clearings(cursor))
        self._stage(cursor, self._of_payments(cursor))

    def _of_clearings(self, cursor: psycopg.Cursor[Any]) -> Iterator[Allocation]:
        changes: list[Change] = []
        for _, found in groupby(self._rows("clearings"), key=lambda row: (row[0], row[12])):
            rows = [(self._line(row), *row[PLACES:]) for row in found]
            allocations = clearing([line for line, *_ in rows])
            yield from allocations
            changes += _money(rows, allocations)
        self._replace(cursor, RECEIPT, ("amount", "company_amount", "not_cash", "company_not_cash"), changes)

    def _of_payments(self, cursor: psycopg.Cursor[Any]) -> Iterator[Allocation]:
        items, receipts = list[Change](), list[Change]()
        rows = (Payable(self._line(row), *row[PLACES:]) for row in self._rows("payments"))
        for _, found in groupby(rows, key=lambda row: (row.line.entity, row.name)):
            item, *named_by = found
            if item.pays:
                continue  # nobody has read the item: its payments stay unapplied, as they were read
            paid = payments(item.line, [payment.line for payment in named_by])
            yield from paid.allocations
            self._note(item, named_by, paid)
            rests = [(paid.open, paid.company_open), *paid.unapplied]
            for row, rest in zip((item, *named_by), rests, strict=True):
                if row.line.cleared_on is None and rest != (row.rest, row.company_rest):
                    of = items if row.credit or not row.pays else receipts
                    signed = (-rest[0], -rest[1]) if row.credit else rest
                    of.append(Change(row.key, row.staged, signed))
        self._replace(cursor, OPEN_ITEM, ("open", "company_open"), items)
        self._replace(cursor, RECEIPT, ("unapplied", "company_unapplied"), receipts)

    def _line(self, row: tuple[Any, ...]) -> Line:
        """The line of a row; one that is not staged is remembered."""
        line, staged = Line._make(row[:PLACES]), row[PLACES]
        if not staged:
            self._named.append(line)
        return line

    def _note(self, item: Payable, named_by: Sequence[Payable], paid: Paid) -> None:
        """A sentence for each payment that its item cannot take whole."""
        for payment, (rest, _) in zip(named_by, paid.unapplied, strict=True):
            if rest:
                line, of = payment.line, item.line
                why = "is cleared" if of.cleared_on else f"is of {of.amount:f} {of.currency}"
                payer = "Credit note" if payment.credit else "Receipt"
                self._notes.append(
                    f"{payer} {line.document} of {line.entity} names {item.name}, which {why}: "
                    f"{rest:f} {line.currency} stay unapplied."
                )

    # -- rows ---------------------------------------------------------------------------------------------

    def _rows(self, query: str) -> Iterator[tuple[Any, ...]]:
        """The rows of a query, fetched some at a time, so that millions never are in memory."""
        with self._connection.cursor(name=query) as cursor:
            cursor.itersize = BATCH
            cursor.execute(SQL[query], self._scope)
            yield from cursor

    def _stage(self, cursor: psycopg.Cursor[Any], allocations: Iterator[Allocation]) -> None:
        batch: list[Allocation] = []
        for allocation in allocations:
            batch.append(allocation)
            if len(batch) == BATCH:
                self._copy(cursor, ALLOCATION, batch)
                batch = []
        self._copy(cursor, ALLOCATION, batch)

    def _copy(self, cursor: psycopg.Cursor[Any], kind: Kind, records: Sequence[Any]) -> None:
        if records:
            copy_rows(cursor, kind, self._scope["run_id"], self._place, records)
            self._place += len(records)

    def _replace(
        self, cursor: psycopg.Cursor[Any], kind: Kind, names: tuple[str, ...], changes: Sequence[Change]
    ) -> None:
        """Stages these rows anew with other amounts: those staged, and copies of those published."""
        by_key = {change.key: change for change in changes}
        for query, staged in (("staged_rows", True), ("published_rows", False)):
            keys = [change.key for change in changes if change.staged is staged]
            for at in range(0, len(keys), BATCH):
                asked = {**self._scope, **_arrays(kind, keys[at : at + BATCH])}
                rows = cursor.execute(_of_keys(query, kind), asked).fetchall()
                made = [kind.record(*row) for row in rows]
                if staged:
                    cursor.execute(_of_keys("forget_staged_rows", kind), asked)
                self._copy(cursor, kind, [_with(kind, record, names, by_key) for record in made])

    def _withdraw(self, cursor: psycopg.Cursor[Any]) -> None:
        named = {
            "entities": [line.entity for line in self._named],
            "numbers": [line.number for line in self._named],
            "years": [line.fiscal_year for line in self._named],
            "lines": [line.line for line in self._named],
            "credits": [line.amount < 0 for line in self._named],
        }
        cursor.execute(SQL["withdraw_allocations"], {**self._scope, **named})
        for query in ("withdraw_items", "withdraw_receipts", "withdraw_documents"):
            cursor.execute(SQL[query], self._scope)


def _with(
    kind: Kind, record: msgspec.Struct, names: tuple[str, ...], changes: Mapping[Key, Change]
) -> msgspec.Struct:
    change = changes[tuple(getattr(record, name) for name in kind.key)]
    values = [f"{amount:f}" for amount in change.amounts]
    return msgspec.structs.replace(record, **dict(zip(names, values, strict=True)))


def _key(line: Line) -> Key:
    """Its key, in the order of the kind's columns."""
    return line.number, line.entity, line.fiscal_year, line.line, line.account


def _money(rows: Sequence[tuple[Any, ...]], allocations: Sequence[Allocation]) -> Iterator[Change]:
    """The receipts of a clearing whose money is not what was taken for it.

    Money is what a line gave away, less discounts that it held and the rest of a short payment, which moved.
    """
    gave: defaultdict[str, list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    if any(line.discount or line.residual for line, *_ in rows):
        for one in allocations:
            sums = gave[f"{one.source_number}/{one.source_fiscal_year}/{one.source_line}"]
            sums[0] += Decimal(one.amount) - Decimal(one.discount)
            sums[1] += (
                Decimal(one.company_amount) - Decimal(one.company_discount) + Decimal(one.company_difference)
            )
    for line, staged, cash, company_cash in rows:
        if cash is None:
            continue
        money, company_money = gave[line.name] if gave else (-line.amount, -line.company_amount)
        if (money, company_money) != (cash, company_cash):
            rest = (-line.amount - money, -line.company_amount - company_money)
            yield Change(_key(line), staged, (money, company_money, *rest))


def _arrays(kind: Kind, keys: Sequence[Key]) -> dict[str, list[str]]:
    """One array for each column of the key."""
    return dict(zip(kind.key, map(list, zip(*keys, strict=True)), strict=True))


def _of_keys(query: str, kind: Kind) -> sql.Composed:
    """A query for rows of this kind by key; its arrays are bound by the names of the key's columns."""
    return sql.SQL(SQL[query]).format(
        staged=kind.staged,
        current=kind.current,
        key=columns(kind.key),
        same_key=same(kind.key, "row", "wanted"),
        arrays=sql.SQL(", ").join(sql.SQL("{}::text[]").format(sql.Placeholder(name)) for name in kind.key),
        columns=sql.SQL(", ").join(
            sql.SQL("{}::text").format(sql.Identifier("row", name)) for name in kind.fields
        ),
    )
