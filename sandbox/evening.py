"""The books of a past evening: what an SAP system showed at the end of a day, whatever was entered later.

An item counts from the day its document was entered, cleared or open as it was known then; posting days play
no part, so a posting dated back or a clearing that is reset later changes nothing. A partial payment lowers
the item it names; what exceeds it, and every other credit of a payment document, is unapplied. Amounts are
decimal strings. It refuses days that have not begun.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sandbox.books import Books, Item, money

PAYMENT = "DZ"
KINDS = {"RV": "invoice", "DR": "invoice", "DG": "credit_memo"}


@dataclass
class Left:
    """What is left of an item, in both currencies."""

    amount: Decimal
    company: Decimal


def told(books: Books, day: date) -> dict[str, Any]:
    """Give the open items and the unapplied receipts at the end of a day.

    Raises:
        ValueError: the day is after today.
    """
    if day > books.today:
        raise ValueError(f"{day} is after today, {books.today}")
    held = [item for item in books.items if _is_open(item, day)]
    left = {item.key: Left(item.amount, item.company_amount) for item in held}
    payments = [item for item in held if item.document.kind == PAYMENT and item.amount < 0]
    for payment in payments:
        _apply(payment, left)
    of_payments = {item.key for item in payments}
    items = [_item(item, left[item.key], day) for item in held if item.key not in of_payments]
    return {
        "day": day.isoformat(),
        "today": books.today.isoformat(),
        "items": items,
        "receipts": _receipts(payments, left),
    }


def _is_open(item: Item, day: date) -> bool:
    """Say whether a customer's item was posted and not cleared, as known on that evening."""
    if item.account_type != "D" or item.line is None or item.document.entered > day:
        return False
    return item.known(day).clearing is None


def _apply(payment: Item, left: Mapping[tuple[str, str, str, int], Left]) -> None:
    """Take a partial payment off the item it names, when that is open and as far as it reaches."""
    if not payment.invoice_item_reference.isdecimal() or len(payment.invoice_reference) < 2:
        return
    target = left.get(
        (
            payment.document.company.code,
            payment.invoice_reference_year,
            payment.invoice_reference,
            int(payment.invoice_item_reference),
        )
    )
    own = left[payment.key]
    if target is None or target.amount <= 0:
        return
    part = min(target.amount, -own.amount)
    company = -own.company
    if part != -own.amount:
        company = money(company * part / -own.amount, payment.document.company.currency)
    target.amount -= part
    target.company -= company
    own.amount += part
    own.company += company


def _head(item: Item) -> dict[str, Any]:
    document = item.document
    return {
        "document": document.number,
        "entity": document.company.code,
        "account": item.account,
        "customer": item.customer,
        "currency": document.currency,
        "company_currency": document.company.currency,
        "posted_on": document.posting_date.isoformat(),
    }


def _item(item: Item, left: Left, day: date) -> dict[str, Any]:
    kind = KINDS.get(item.document.kind, "journal")
    due = item.known(day).due_date
    return {
        "key": [*item.key[:3], str(item.number)],
        **_head(item),
        "kind": "credit_memo" if kind == "invoice" and item.amount < 0 else kind,
        "original": f"{item.amount:f}",
        "open": f"{left.amount:f}",
        "company_original": f"{item.company_amount:f}",
        "company_open": f"{left.company:f}",
        "due_date": None if due is None else due.isoformat(),
    }


def _receipts(
    payments: Sequence[Item], left: Mapping[tuple[str, str, str, int], Left]
) -> list[dict[str, Any]]:
    """Add up what is unapplied per payment document, customer and account."""
    groups: dict[tuple[str, ...], list[Item]] = defaultdict(list)
    for item in payments:
        groups[(*item.key[:3], item.customer, item.account)].append(item)
    found = []
    for (code, year, number, _, _), items in groups.items():
        unapplied = -sum((left[item.key].amount for item in items), Decimal(0))
        company = -sum((left[item.key].company for item in items), Decimal(0))
        if unapplied or company:
            found.append(
                {
                    "key": [code, year, number],
                    **_head(items[0]),
                    "kind": "advance" if items[0].special_gl else "receipt",
                    "received": f"{-sum((item.amount for item in items), Decimal(0)):f}",
                    "unapplied": f"{unapplied:f}",
                    "company_unapplied": f"{company:f}",
                }
            )
    return found
