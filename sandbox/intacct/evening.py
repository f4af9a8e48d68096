"""The books of a past evening: what they showed at the end of a day, whatever was entered later.

A record counts from the day it was entered until the day it was deleted, an application from the day it was
entered; days of the ledger play no part, so a posting entered later and dated back changes nothing here.
Amounts are decimal strings. It refuses days that have not begun.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from operator import itemgetter
from typing import Any

from sandbox.intacct.books import ADVANCE, INVOICE, PAYMENT, Books, Record
from sandbox.intacct.journal import by_control, left


def told(books: Books, day: date) -> dict[str, Any]:
    """Give the open items and the unapplied receipts and advances at the end of a day.

    Raises:
        ValueError: the day is after today.
    """
    if day > books.today:
        raise ValueError(f"{day} is after today, {books.today}")
    items, receipts = [], []
    for record in _held(books, day):
        for control, entries in by_control(record):
            amount, base = left(entries, lambda move: move.entered.date() <= day)
            if not amount and not base:
                continue
            if record.object in (PAYMENT, ADVANCE):
                receipts.append(_receipt(record, control, -amount, -base, day))
            else:
                items.append(_item(record, control, amount, base, day))
    return {
        "day": day.isoformat(),
        "today": books.today.isoformat(),
        "items": sorted(items, key=itemgetter("key")),
        "receipts": sorted(receipts, key=itemgetter("key")),
    }


def _held(books: Books, day: date) -> Iterator[Record]:
    """Give the records that were in the books on that evening and were no drafts."""
    gone = [record for record, moment in books.deleted if moment.date() > day]
    for record in (*books.all_records(), *gone):
        if not record.draft and record.entered.date() <= day:
            yield record


def _head(record: Record, control: str, day: date) -> dict[str, Any]:
    return {
        "key": [record.object, str(record.key), control],
        "document": record.reference if record.object in (PAYMENT, ADVANCE) else record.number,
        "entity": record.entity.code,
        "account": control,
        "customer": record.customer_known(day),
        "currency": record.currency,
        "company_currency": record.entity.currency,
        "posted_on": record.posted.isoformat(),
    }


def _item(record: Record, control: str, amount: Decimal, base: Decimal, day: date) -> dict[str, Any]:
    due = record.due_known(day)
    entries = [entry for entry in record.entries if entry.control == control]
    original = sum((entry.amount for entry in entries), Decimal(0))
    company_original = sum((entry.base for entry in entries), Decimal(0))
    credit = original < 0
    if record.object == INVOICE:
        kind = "credit_memo" if credit else "invoice"
    else:
        kind = "credit_memo" if credit else "debit_memo"
    return {
        **_head(record, control, day),
        "kind": kind,
        "original": f"{original:f}",
        "open": f"{amount:f}",
        "company_original": f"{company_original:f}",
        "company_open": f"{base:f}",
        "due_date": due.isoformat() if due else None,
    }


def _receipt(record: Record, control: str, amount: Decimal, base: Decimal, day: date) -> dict[str, Any]:
    return {
        **_head(record, control, day),
        "kind": "advance" if record.object == ADVANCE else "receipt",
        "received": f"{record.cash:f}",
        "unapplied": f"{amount:f}",
        "company_unapplied": f"{base:f}",
    }
