"""The books as the journal has them, for tests that ask whether anything was lost or doubled.

Balances come from the journal's lines, open items from the sub-ledger; both without faults of the view.
Amounts are decimal strings in the scale of their currency. It refuses nothing.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from decimal import Decimal
from typing import Any

from sandbox.books import Books, Item


def balances(books: Books, company_code: str | None, as_of: date | None) -> list[dict[str, str]]:
    """Sum the journal per company code, account, currency and customer ('' for none), up to a day."""
    sums: dict[tuple[str, str, str, str], list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    for line in books.lines():
        document = line.document
        if company_code in (None, document.company.code) and (
            as_of is None or document.posting_date <= as_of
        ):
            pair = sums[document.company.code, line.account, document.currency, line.customer]
            pair[0] += line.amount
            pair[1] += line.company_amount
    return [
        {
            "company_code": code,
            "account": account,
            "currency": currency,
            "customer": customer,
            "amount": f"{amount:f}",
            "company_currency": books.companies[code].currency,
            "company_amount": f"{company_amount:f}",
        }
        for (code, account, currency, customer), (amount, company_amount) in sorted(sums.items())
    ]


def open_items(books: Books, company_code: str | None, as_of: date | None) -> list[dict[str, Any]]:
    """List the customers' items that are posted to the ledger and open at the end of a day (None: now)."""
    return [
        _printed(item)
        for item in books.items
        if item.account_type == "D"
        and item.line is not None
        and company_code in (None, item.document.company.code)
        and _is_open(item, as_of)
    ]


def _is_open(item: Item, as_of: date | None) -> bool:
    if as_of is None:
        return item.clearing is None
    return item.document.posting_date <= as_of and (item.clearing is None or item.clearing.day > as_of)


def _printed(item: Item) -> dict[str, Any]:
    return {
        "company_code": item.document.company.code,
        "fiscal_year": item.document.year,
        "document": item.document.number,
        "item": str(item.number),
        "account": item.account,
        "customer": item.customer,
        "currency": item.document.currency,
        "amount": f"{item.amount:f}",
        "company_currency": item.document.company.currency,
        "company_amount": f"{item.company_amount:f}",
        "due_date": None if item.due_date is None else item.due_date.isoformat(),
    }
