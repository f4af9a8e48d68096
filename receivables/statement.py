"""The statement of one customer at the end of a day: what was open, what was received, what paid what.

Shown are open items, receipts that are not applied or that paid something of an open item, and the
allocations between them; what was settled is left out. Refuses a day by whose end nothing was published.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from receivables.ageing import BUCKET
from receivables.as_of import View, visible
from receivables.kinds import ALLOCATION, CUSTOMER, DOCUMENT, OPEN_ITEM, RECEIPT
from receivables.queries import queries

SQL = queries(__file__)
Row = TypeVar("Row")


@dataclass(frozen=True)
class StatementCustomer:
    """The customer in one company."""

    entity: str
    number: str
    printed: str
    name: str | None
    country: str | None
    currency: str | None
    payment_terms: str | None


@dataclass(frozen=True)
class StatementItem:
    """One open item; `bucket` says how long it is overdue. The totals are of its whole document."""

    entity: str
    number: str
    fiscal_year: str
    instalment: str
    account: str
    kind: str | None
    type: str | None
    printed: str
    reference: str | None
    issued_on: date | None
    posted_on: date
    due_on: date | None
    bucket: str
    currency: str
    original: Decimal
    open: Decimal
    company_currency: str
    company_original: Decimal
    company_open: Decimal
    dunning_level: str | None
    payment_block: str | None
    total_excl: Decimal | None
    tax_total: Decimal | None
    total_incl: Decimal | None


@dataclass(frozen=True)
class StatementReceipt:
    """One line of a payment; its customer may be another that paid for this one."""

    entity: str
    number: str
    fiscal_year: str
    line: str
    account: str
    customer: str
    printed: str
    booked_on: date
    value_on: date | None
    status: str
    currency: str
    amount: Decimal
    unapplied: Decimal
    company_currency: str
    company_amount: Decimal
    company_unapplied: Decimal
    bank_reference: str | None
    text: str | None


@dataclass(frozen=True)
class StatementAllocation:
    """What went from where to where; amounts as in receivables.records.Allocation.

    The numbers with `printed` are those that people know the receipt and the documents by.
    """

    entity: str
    source: str
    source_number: str
    source_fiscal_year: str
    source_line: str
    source_printed: str
    target_number: str
    target_fiscal_year: str
    target_instalment: str
    target_printed: str
    currency: str
    amount: Decimal
    discount: Decimal
    company_currency: str
    company_amount: Decimal
    company_discount: Decimal
    company_difference: Decimal
    allocated_on: date
    derived: bool


@dataclass(frozen=True)
class Statement:
    """One customer's statement; `balances` are open items less unapplied receipts, per document currency."""

    connector: str
    as_of: date
    zone: str
    publication: int
    published_at: datetime
    customers: list[StatementCustomer]
    items: list[StatementItem]
    receipts: list[StatementReceipt]
    allocations: list[StatementAllocation]
    balances: dict[str, Decimal]


def statement(cursor: psycopg.Cursor[Any], view: View, customer: str) -> Statement | None:
    """The customer's statement, by its number; None if the connector did not know it by that day.

    Raises Misconfigured if nothing was published by the end of the day.
    """
    number, published_at = view.publication(cursor)
    customers = _rows(cursor, StatementCustomer, "customers", view, {"customer": customer})
    if not customers:
        return None
    of = {"numbers": [one.number for one in customers]}
    items = _rows(cursor, StatementItem, "items", view, of)
    receipts = _rows(cursor, StatementReceipt, "receipts", view, of)
    return Statement(
        connector=view.connector,
        as_of=view.day,
        zone=view.zone_names,
        publication=number,
        published_at=published_at,
        customers=customers,
        items=items,
        receipts=receipts,
        allocations=_rows(cursor, StatementAllocation, "allocations", view, of),
        balances=_balances(items, [r for r in receipts if r.customer in of["numbers"]]),
    )


def _rows(
    cursor: psycopg.Cursor[Any], row: type[Row], query: str, view: View, asked: dict[str, Any]
) -> list[Row]:
    statement_ = sql.SQL(SQL[query]).format(
        bucket=BUCKET,
        customer=visible(CUSTOMER, view),
        document=visible(DOCUMENT, view),
        open_item=visible(OPEN_ITEM, view),
        receipt=visible(RECEIPT, view),
        allocation=visible(ALLOCATION, view),
    )
    with cursor.connection.cursor(row_factory=class_row(row)) as typed:
        return typed.execute(statement_, {**view.scope, **asked}).fetchall()


def _balances(items: list[StatementItem], receipts: list[StatementReceipt]) -> dict[str, Decimal]:
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for item in items:
        sums[item.currency] += item.open
    for receipt in receipts:
        sums[receipt.currency] -= receipt.unapplied
    return dict(sorted(sums.items()))
