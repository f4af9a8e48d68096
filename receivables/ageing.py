"""What is owed by how long it is overdue: buckets that together are the balance, none missing and none twice.

As of the end of a day, aged at that day: see receivables.as_of. Amounts of different currencies are never
added, so every row has one document currency and one company currency.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby
from typing import Any, Final, Literal

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from receivables.as_of import View, visible
from receivables.kinds import CUSTOMER, OPEN_ITEM, RECEIPT
from receivables.queries import queries

SQL = queries(__file__)
BUCKETS: Final = (
    "not_due",
    "1-30",
    "31-60",
    "61-90",
    "91-180",
    "over 180",
    "no_due_date",
    "unapplied",
)
BUCKET: Final = sql.SQL(SQL["bucket"])  # of an item, on the day %(day)s

By = Literal["customer", "entity", "currency", "bucket"]
COLUMNS: Final[dict[By, tuple[str, ...]]] = {
    "customer": ("entity", "customer"),
    "entity": ("entity",),
    "currency": (),
    "bucket": (),
}


@dataclass(frozen=True)
class Cell:
    """One sum: of one bucket in one pair of currencies, of the customer or company that a row is about."""

    entity: str | None
    customer: str | None
    currency: str
    company_currency: str
    bucket: str
    amount: Decimal
    company_amount: Decimal
    lines: int


@dataclass(frozen=True)
class AgeingRow:
    """What one customer, company or currency owed: exact amounts by bucket, in both currencies.

    What the row is not about is None; `lines` are the items and receipts behind it.
    """

    entity: str | None
    customer: str | None
    name: str | None
    bucket: str | None
    currency: str
    company_currency: str
    balance: Decimal
    company_balance: Decimal
    lines: int
    buckets: dict[str, Decimal] = field(default_factory=dict)
    company_buckets: dict[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True)
class Ageing:
    """The ageing of a connector's receivables at the end of a day, and the publication it is made from."""

    connector: str
    as_of: date
    zone: str
    publication: int
    published_at: datetime
    by: By
    rows: list[AgeingRow]


def ageing(cursor: psycopg.Cursor[Any], view: View, by: By) -> Ageing:
    """What was owed at the end of the day; Misconfigured if nothing was published by then."""
    number, published_at = view.publication(cursor)
    with cursor.connection.cursor(row_factory=class_row(Cell)) as named:
        cells = named.execute(_statement(view, by), view.scope).fetchall()
        names = (
            {
                (entity, customer): name
                for entity, customer, name in cursor.execute(
                    sql.SQL(SQL["names"]).format(customer=visible(CUSTOMER, view)), view.scope
                )
            }
            if by == "customer"
            else {}
        )
    key = _bucket_of if by == "bucket" else _place_of
    ordered = sorted(cells, key=lambda cell: BUCKETS.index(cell.bucket)) if by == "bucket" else cells
    return Ageing(
        connector=view.connector,
        as_of=view.day,
        zone=view.zone_names,
        publication=number,
        published_at=published_at,
        by=by,
        rows=[_row(list(found), names, by) for _, found in groupby(ordered, key=key)],
    )


def _statement(view: View, by: By) -> sql.Composed:
    chosen = COLUMNS[by]
    nothing = sql.SQL("null::text")
    return sql.SQL(SQL["ageing"]).format(
        bucket=BUCKET,
        open_item=visible(OPEN_ITEM, view),
        receipt=visible(RECEIPT, view),
        entity=sql.Identifier("entity") if "entity" in chosen else nothing,
        customer=sql.Identifier("customer") if "customer" in chosen else nothing,
    )


def _place_of(cell: Cell) -> tuple[Any, ...]:
    return cell.entity, cell.customer, cell.currency, cell.company_currency


def _bucket_of(cell: Cell) -> tuple[Any, ...]:
    return cell.bucket, cell.currency, cell.company_currency


def _row(cells: Sequence[Cell], names: Mapping[tuple[str | None, str | None], str], by: By) -> AgeingRow:
    first = cells[0]
    return AgeingRow(
        entity=first.entity,
        customer=first.customer,
        name=names.get((first.entity, first.customer)),
        bucket=first.bucket if by == "bucket" else None,
        currency=first.currency,
        company_currency=first.company_currency,
        balance=total(cell.amount for cell in cells),
        company_balance=total(cell.company_amount for cell in cells),
        lines=sum(cell.lines for cell in cells),
        buckets={cell.bucket: cell.amount for cell in cells},
        company_buckets={cell.bucket: cell.company_amount for cell in cells},
    )


def total(amounts: Iterable[Decimal]) -> Decimal:
    """The exact sum of amounts of one currency, with its decimals."""
    found = list(amounts)
    return sum(found[1:], found[0]) if found else Decimal(0)
