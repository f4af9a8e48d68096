"""Columns of a table -> fields of canonical records: declared once, adapted row by row.

Common cases are declarations (`key("Number")`, `amount("Amount", "EUR")`); an odd case is a function of the
row. What a simple system does not say has a default here, or the declaration is refused when it is imported.
Refuses a row with too few or too many cells, an amount whose sign contradicts the kind of its document, and
money received below zero.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from types import MappingProxyType, NoneType
from typing import Any, Final, TypeAlias, get_args

import msgspec

from connectors.kit import csv_rows
from connectors.kit.stream import Access, Adapted, Row
from receivables import values
from receivables.errors import Unreadable
from receivables.records import (
    ControlAccount,
    ControlTotal,
    Customer,
    Document,
    LegalEntity,
    OpenItem,
    Receipt,
    Swept,
)

SHOWN: Final = 40  # characters of a bad value in a message
CUSTOMER_KEY: Final = frozenset({"number", "entity", "printed"})

Value: TypeAlias = "str | None"
Values = Mapping[str, Value]
Reader = Callable[["Line"], Value]
Default = Callable[[Values], Value]


# -- what is declared --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One row as readers see it: its cells by column, the connector's settings, and how days are written."""

    cells: Mapping[str, str]
    settings: Any
    dialect: csv_rows.Dialect
    days: _Days

    def __getitem__(self, column: str) -> str:
        return self.cells[column]


@dataclass(frozen=True)
class Column:
    """One column and how a cell of it is read, given the cell and its row."""

    name: str
    read: Callable[[str, Line], Value]

    def __call__(self, line: Line) -> Value:
        """The checked value; raises Unreadable."""
        return self.read(line[self.name], line)


def key(column: str) -> Column:
    """A part of a key, unchanged."""
    return Column(column, lambda cell, _: values.key(cell, column))


def text(column: str) -> Column:
    """A text; None where the cell is empty."""
    return Column(column, lambda cell, _: values.text_or_none(cell, column))


def day(column: str) -> Column:
    """A day in the dialect's form."""
    return Column(column, lambda cell, line: line.days(cell, column))


def day_or_none(column: str) -> Column:
    """A day in the dialect's form; None where the cell is empty."""
    return Column(column, lambda cell, line: line.days(cell, column) if cell else None)


def amount(column: str, currency: Reader) -> Column:
    """An amount with the dialect's decimal sign, exact in its currency; what is owed to us is positive."""
    return Column(
        column, lambda cell, line: _amount(cell, column, currency(line) or "", line.dialect.decimal)
    )


def one_of(column: str, meanings: Mapping[str, str]) -> Column:
    """What a code means; a code that is not declared is Unreadable (code_unknown)."""

    def read(cell: str, _: Line) -> str:
        if cell not in meanings:
            raise Unreadable("code_unknown", column, f"{column} {cell[:SHOWN]!a} is not declared.")
        return meanings[cell]

    return Column(column, read)


def setting(name: str) -> Reader:
    """The value of a setting of the connector."""
    return lambda line: str(getattr(line.settings, name))


@dataclass(frozen=True)
class Table:
    """One file of rows: its header as exported, the columns that name a row, and the records' fields by name.

    A field that several records of one row have (an item's and its document's number) is declared once.
    """

    file: str
    header: str
    key: Sequence[str]
    fields: Mapping[str, Reader]

    def check(self, dialect: csv_rows.Dialect, kinds: Sequence[type[msgspec.Struct]]) -> None:
        """Raises TypeError if these records cannot be made of it, or if it names what is not there."""
        used = {name for kind in kinds for name, _ in _made_of(kind, self)}
        for name in self.fields:
            if name not in used:
                raise TypeError(f"{self.file}: no record made of it has a field {name}")
        for first, second in TWINS:
            if first in self.fields and second in used and second not in self.fields:
                raise TypeError(f"{self.file}: {first} is declared without {second}")
        named = [read.name for read in self.fields.values() if isinstance(read, Column)]
        for column in (*self.key, *named):
            if column not in self.columns(dialect):
                raise TypeError(f"{self.file}: its header has no column {column}")

    def columns(self, dialect: csv_rows.Dialect) -> list[str]:
        """The header's columns."""
        return self.header.split(dialect.delimiter)


# -- what is not declared ----------------------------------------------------------------------------------


def _rest(of: str) -> Default:
    return lambda row: "0" if row["cleared_on"] else row[of]


_ITEM: Final[Mapping[str, Default]] = {
    "cleared_on": lambda _: None,
    "open": _rest("original"),
    "company_currency": lambda row: row["currency"],
    "company_original": lambda row: row["original"],
    "company_open": _rest("company_original"),
}
DEFAULTS: Final[Mapping[type[msgspec.Struct], Mapping[str, Default]]] = MappingProxyType(
    {
        LegalEntity: {"code": lambda row: row["entity"], "name": lambda row: row["entity"]},
        ControlAccount: {"kind": lambda _: "trade"},
        Customer: {"printed": lambda row: row["number"]},
        Document: {"printed": lambda row: row["number"], "status": lambda _: "posted"},
        OpenItem: _ITEM,
        Swept: {
            "cleared_on": lambda _: None,
            "instalment": lambda row: row.get("line") or "1",  # of a receipt, which is a credit
            "original": lambda row: f"-{row['amount']}",
            "company_currency": lambda row: row["currency"],
            "company_original": lambda row: (
                f"-{row['company_amount']}" if row.get("company_amount") else row["original"]
            ),
        },
        Receipt: {
            "line": lambda _: "1",
            "printed": lambda row: row["number"],
            "status": lambda _: "received",
            "cleared_on": lambda _: None,
            "unapplied": _rest("amount"),
            "company_currency": lambda row: row["currency"],
            "company_amount": lambda row: row["amount"],
            "company_unapplied": _rest("company_amount"),
        },
        ControlTotal: {"basis": lambda _: "company", "grade": lambda _: "ledger"},
    }
)
# Where the first is declared, a default of the second would contradict it.
TWINS: Final = (
    ("open", "company_open"),
    ("unapplied", "company_unapplied"),
    ("company_currency", "company_original"),
    ("company_currency", "company_amount"),
)


def _made_of(kind: type[msgspec.Struct], table: Table) -> list[tuple[str, Default | None]]:
    """The fields of a record that are declared (None) or have a default, in the order of the record."""
    made: list[tuple[str, Default | None]] = []
    for field in msgspec.structs.fields(kind):
        default = DEFAULTS.get(kind, {}).get(field.name)
        if field.name in table.fields:
            made.append((field.name, None))
        elif default is not None:
            made.append((field.name, default))
        elif field.required and NoneType in get_args(field.type):
            made.append((field.name, lambda _: None))
        elif field.required:
            raise TypeError(f"{table.file}: {kind.__name__}.{field.name} is not declared")
    return made


# -- adapting ----------------------------------------------------------------------------------------------


class Columns:
    """Adapts the raw rows of a table to records of these kinds."""

    def __init__(
        self,
        table: Table,
        dialect: csv_rows.Dialect,
        access: Access,
        kinds: Sequence[type[msgspec.Struct]],
    ) -> None:
        self._table, self._dialect, self._settings = table, dialect, access.settings
        self._columns = table.columns(dialect)
        self._days = _Days(access.now.astimezone(access.zone).date(), dialect.day)
        self._kinds = [(kind, _made_of(kind, table)) for kind in kinds]
        # A customer is published without a text that cannot be read: the design's one exception.
        self._optional = set(table.fields) - CUSTOMER_KEY if Customer in kinds else set()

    def __call__(self, rows: Sequence[Row]) -> Adapted:
        """The records of some rows; the same record of several rows, such as a document's, is given once."""
        adapted = Adapted()
        names: set[str] = set()
        given: set[msgspec.Struct] = set()
        for place, raw in enumerate(rows):
            row, name, faults = bytes(raw), "", list[Unreadable]()
            try:
                line = self._line(row)
                name = "/".join(values.key(line[column], column) for column in self._table.key)
                self._note(name, names)
                fresh = [record for record in self._records(line, faults) if record not in given]
            except Unreadable as error:
                faults, fresh = [error], []
            for fault in faults:
                fault.key = name or None
                adapted.unreadable.append((row, fault))
            if not faults:
                adapted.keys.append((place, name.encode()))
            given.update(fresh)
            adapted.records += fresh  # type: ignore[arg-type]  # a table declares records, and totals by themselves
        return adapted

    def _note(self, name: str, names: set[str]) -> None:
        if name in names:
            raise Unreadable("key_twice", self._table.key[-1], f"Row {name} is twice on a page.")
        names.add(name)

    def _line(self, row: bytes) -> Line:
        cells = self._dialect.cells(row)
        if len(cells) != len(self._columns):
            raise Unreadable(
                "cell_count", "row", f"The row has {len(cells)} cells and not {len(self._columns)}."
            )
        return Line(dict(zip(self._columns, cells, strict=True)), self._settings, self._dialect, self._days)

    def _records(self, line: Line, faults: list[Unreadable]) -> list[msgspec.Struct]:
        row: dict[str, Value] = {}
        for name, read in self._table.fields.items():
            try:
                row[name] = read(line)
            except Unreadable as fault:
                if name not in self._optional:
                    raise
                row[name] = None
                faults.append(fault)
        made = [self._made(kind, fields, row) for kind, fields in self._kinds]
        _same_sign(row, getattr(self._table.fields.get("original"), "name", "original"))
        _received(row, getattr(self._table.fields.get("amount"), "name", "amount"))
        return [one for one in made if not (isinstance(one, Swept) and row.get("cleared_on"))]

    def _made(
        self, kind: type[msgspec.Struct], fields: Sequence[tuple[str, Default | None]], row: dict[str, Value]
    ) -> msgspec.Struct:
        filled = dict(row)
        for name, default in fields:
            if default is not None:
                filled[name] = default(filled)
        return kind(**{name: filled[name] for name, _ in fields})


class _Days:
    """Reads days in one form and checks them against the range that a run accepts; remembers them."""

    def __init__(self, today: date, form: str) -> None:
        self._check = values.Days(today)
        self._form = form
        self._known: dict[str, str] = {}

    def __call__(self, printed: str, field: str) -> str:
        known = self._known.get(printed)
        if known is None:
            known = self._known[printed] = self._check(self._iso(printed, field), field)
        return known

    def _iso(self, printed: str, field: str) -> str:
        if not printed:
            return ""
        try:
            found = datetime.strptime(printed, self._form).date()  # noqa: DTZ007  # a day, never a moment
        except ValueError:
            found = None
        if found is None or found.strftime(self._form) != printed:
            raise Unreadable("day_form", field, f"{field} {printed[:SHOWN]!a} is no day like {self._form}.")
        return found.isoformat()


def _amount(printed: str, column: str, currency: str, decimal: str) -> str:
    if not printed:
        return values.amount(None, currency, column)
    if not _form(decimal).fullmatch(printed):
        raise Unreadable("amount_form", column, f"{column} {printed[:SHOWN]!a} is no amount.")
    return values.amount(printed.replace(decimal, "."), currency, column)


@cache
def _form(decimal: str) -> re.Pattern[str]:
    return re.compile(rf"-?[0-9]+(?:{re.escape(decimal)}[0-9]+)?(?:[eE][+-]?[0-9]{{1,2}})?")


def _same_sign(row: Values, column: str) -> None:
    """Refuses an invoice below zero and a credit note above: one of the two columns is wrong."""
    kind, original = row.get("kind"), row.get("original") or "0"
    negative, zero = original.startswith("-"), not original.strip("-0.")
    if not zero and (
        (kind in ("invoice", "debit_note") and negative) or (kind == "credit_note" and not negative)
    ):
        raise Unreadable(
            "sign_contradiction", column, f"{column} {original} and {kind} contradict each other."
        )


def _received(row: Values, column: str) -> None:
    """Refuses money received below zero: what was paid back is a debit, an open item."""
    amount = row.get("amount") or "0"
    if amount.startswith("-"):
        raise Unreadable(
            "sign_contradiction", column, f"{column} {amount} is below zero: no money was received."
        )
