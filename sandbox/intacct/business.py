"""Invoices, debit and credit memos, their reversal and deletion: each function writes one transaction.

Account numbers, journal symbols and states are customary [K]; receipts are in `sandbox.intacct.receipts`. It
refuses what the vendor refuses: reversing or deleting what something was applied to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from sandbox.intacct.books import (
    ADJUSTMENT,
    INVOICE,
    RECEIVABLES,
    Books,
    Customer,
    Entity,
    Entry,
    Line,
    Record,
    money,
)

BANK = "10100"
REVENUE = "40000"
SERVICES = "40100"
SALES_RETURNS = "49000"
DISCOUNTS = "49500"
EXCHANGE_GAINS = "71000"

DOLLAR_VALUE = {
    "USD": Decimal(1),
    "EUR": Decimal("1.087"),
    "GBP": Decimal("1.268"),
    "JPY": Decimal("0.00664"),
}
ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class When:
    """The day of the document, the day it posts to the ledger, the moment it is entered."""

    day: date
    posted: date
    entered: datetime

    @classmethod
    def at(cls, day: date, entered: datetime) -> When:
        """A document that posts on its own day."""
        return cls(day, day, entered)


@dataclass(frozen=True, slots=True)
class Account:
    """A customer's account with an entity, in one currency."""

    entity: Entity
    customer: Customer
    currency: str


@dataclass(frozen=True, slots=True)
class Part:
    """One line to be written: its accounts and its amount."""

    amount: Decimal
    control: str
    account: str = REVENUE
    text: str = ""
    key: int | None = None


def account_of(record: Record) -> Account:
    """Give the account of a record.

    Raises:
        ValueError: it has no customer, as a receipt of several has.
    """
    if record.customer is None:
        raise ValueError(f"{record.object} {record.key} has no customer")
    return Account(record.entity, record.customer, record.currency)


def exchange_rate(currency: str, entity: Entity, day: date) -> Decimal:
    """Give the value of one unit of `currency` in the entity's base currency; it moves every 30 days."""
    if currency == entity.currency:
        return ONE
    drift = Decimal(day.toordinal() // 30 % 7 - 3) / 100
    rate = DOLLAR_VALUE[currency] / DOLLAR_VALUE[entity.currency] * (1 + drift)
    return rate.quantize(Decimal("0.000001"))


def control_account(customer: Customer) -> str:
    """Give the receivables account of a customer."""
    return customer.account or RECEIVABLES


def write_record(
    books: Books,
    name: str,
    account: Account,
    when: When,
    parts: Sequence[Part],
    *,
    number: str,
    kind: str,
    key: int | None = None,
    draft: bool = False,
    term: str = "",
    reference: str = "",
    module: str = "4.AR",
    text: str = "",
) -> Record:
    """Write a record and, unless it is a draft, its journal lines."""
    rate = exchange_rate(account.currency, account.entity, when.posted)
    entries = [
        Entry(
            key=books.numbered("entry", part.key),
            number=0,
            account=part.account,
            control=part.control,
            amount=part.amount,
            base=money(part.amount * rate, "USD"),
            text=part.text,
            modified=when.entered,
        )
        for part in parts
    ]
    record = Record(
        object=name, key=books.numbered("record", key), kind=kind, number=number,
        entity=account.entity, customer=account.customer, day=when.day, posted=when.posted,
        currency=account.currency, rate=rate, created=when.entered, modified=when.entered,
        entries=entries, term=term, reference=reference, module=module, draft=draft, text=text,
    )  # fmt: skip
    books.add(record)
    if not draft:
        post_record(books, record)
    return record


def post_record(books: Books, record: Record) -> None:
    """Write the journal lines of an invoice or adjustment: its control accounts against its own accounts."""
    batch = books.number("batch")
    lines = []
    for entry in record.entries:
        if entry.amount:
            for account, sign in ((entry.control, 1), (entry.account, -1)):
                value = (sign * entry.amount, sign * entry.base)
                lines.append(journal_line(books, batch, record, account, value))
    if lines:
        books.post(lines)


def release(books: Books, record: Record, moment: datetime) -> None:
    """Post a draft invoice, on the day it is dated."""
    record.draft, record.released, record.modified = False, moment, moment
    for entry in record.entries:
        entry.modified = moment
    post_record(books, record)


def journal_line(
    books: Books,
    batch: int,
    record: Record,
    account: str,
    value: tuple[Decimal, Decimal],
    *,
    customer: Customer | None = None,
) -> Line:
    """Make a journal line of a record on its posting day; `value` is amount and base amount."""
    payer = customer or record.customer
    return Line(
        key=books.number("line"),
        batch=batch,
        journal={INVOICE: "ARJ", ADJUSTMENT: "ARADJ"}.get(record.object, "CRJ"),
        entity=record.entity,
        account=account,
        currency=record.currency,
        amount=value[0],
        base=value[1],
        customer=payer.number if payer else "",
        day=record.posted,
        entered=record.entered,
        text=record.number or record.reference,
        record=record,
    )


def invoice(
    books: Books,
    account: Account,
    when: When,
    parts: Sequence[Part],
    *,
    number: str = "",
    key: int | None = None,
    due: date | None = None,
    draft: bool = False,
    module: str = "4.AR",
    reference: str = "",
    text: str = "",
) -> Record:
    """Write an ARINVOICE; with negative lines it is a credit memo of Order Entry [F: recorded page]."""
    record = write_record(
        books, INVOICE, account, when, parts, number=number, kind="ri", key=key,
        draft=draft, term=account.customer.term, module=module, reference=reference, text=text,
    )  # fmt: skip
    record.number = number or f"IN-{record.key:06d}"
    record.due = due or when.day + timedelta(days=books.terms[account.customer.term].net_days)
    for line in record.lines:
        line.text = record.number
    return record


def adjustment(
    books: Books,
    account: Account,
    when: When,
    parts: Sequence[Part],
    *,
    number: str = "",
    key: int | None = None,
    reference: str = "",
) -> Record:
    """Write an ARADJUSTMENT: positive lines are a debit memo, negative ones a credit memo [D]."""
    record = write_record(
        books, ADJUSTMENT, account, when, parts, number=number, kind="ra", key=key,
        reference=reference,
    )  # fmt: skip
    record.number = number or f"{'CM' if record.total < 0 else 'DM'}-{record.key:06d}"
    for line in record.lines:
        line.text = record.number
    return record


def reverse(books: Books, record: Record, when: When, *, key: int | None = None) -> Record:
    """Reverse an invoice or adjustment: both records stay, with nothing open [F enum; amounts K].

    Raises:
        ValueError: it is a draft, is reversed already, or something was applied to it.
    """
    if record.draft or record.reversed_by or record.reverses or not record.untouched:
        raise ValueError(f"{record.object} {record.key} cannot be reversed: it is a draft, reversed or paid")
    entries = [
        Entry(
            books.number("entry"), 0, entry.account, entry.control, -entry.amount, -entry.base, entry.text,
            modified=when.entered,
        )
        for entry in record.entries
    ]  # fmt: skip
    mirror = Record(
        object=record.object, key=books.numbered("record", key), kind=record.kind, number=record.number,
        entity=record.entity, customer=record.customer, day=when.day, posted=when.posted,
        currency=record.currency, rate=record.rate, created=when.entered, modified=when.entered,
        entries=entries, due=when.day if record.due else None, term=record.term, module=record.module,
        reference=record.reference, reverses=record,
    )  # fmt: skip
    books.add(mirror)
    post_record(books, mirror)
    for entry in (*record.entries, *entries):
        entry.move(when.posted, when.entered, entry.amount, entry.base)
    record.reversed_by, record.modified = mirror, when.entered
    return mirror


def delete(books: Books, record: Record, moment: datetime) -> None:
    """Delete a draft or an unpaid record, as `delete_invoice` and `delete_aradjustment` do [F].

    Raises:
        ValueError: it is reversed, or something was applied to it.
    """
    if record.reversed_by or record.reverses or not record.untouched:
        raise ValueError(f"{record.object} {record.key} cannot be deleted: it is reversed or paid")
    books.erase(record, moment)


def renumber(books: Books, customer: Customer, number: str, moment: datetime) -> None:
    """Give a customer another CUSTOMERID, which its records show; its own WHENMODIFIED alone moves [K]."""
    books.relabel(customer.number, number)
    customer.former_numbers.append((moment.date(), customer.number))
    customer.number, customer.modified = number, moment
    books.customers = {each.number: each for each in books.customers.values()}


def merge(books: Books, customer: Customer, into: Customer, moment: datetime) -> None:
    """Merge a customer into another: its records move, with their WHENMODIFIED, and it is deleted [K]."""
    books.relabel(customer.number, into.number)
    for record in books.all_records():
        if record.customer is customer:
            record.former_customers.append((moment.date(), customer))
            record.customer, record.modified = into, moment
    for other in books.customers.values():
        if other.parent is customer:
            other.parent = None if other is into else into
    del books.customers[customer.number]
    books.record_deletion("CUSTOMER", customer.key, moment)
