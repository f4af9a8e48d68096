"""The books as the journal has them, for tests that ask whether anything was lost or doubled.

Balances come from the journal's lines, open items from the sub-ledger, both without faults of the view.
Amounts are decimal strings; `company_` marks the entity's base currency. It refuses nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any

from sandbox.intacct.books import ADVANCE, PAYMENT, Books, Entry, Move, Record


def balances(books: Books, entity: str | None, as_of: date | None) -> list[dict[str, str]]:
    """Sum the journal per entity, account, currency and customer ('' for none), up to a day."""
    sums: dict[tuple[str, str, str, str], list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    for line in books.lines():
        if entity in (None, line.entity.code) and (as_of is None or line.day <= as_of):
            pair = sums[line.entity.code, line.account, line.currency, line.customer]
            pair[0] += line.amount
            pair[1] += line.base
    return [
        {
            "entity": code, "account": account, "currency": currency, "customer": customer,
            "amount": f"{amount:f}", "company_currency": books.entities[code].currency,
            "company_amount": f"{base:f}",
        }
        for (code, account, currency, customer), (amount, base) in sorted(sums.items())
    ]  # fmt: skip


def open_items(books: Books, entity: str | None, as_of: date | None) -> list[dict[str, Any]]:
    """List what is open per record and control account at the end of a day of the ledger (None: now)."""
    found = []
    for record in books.all_records():
        if record.draft or entity not in (None, record.entity.code):
            continue
        if as_of is not None and record.posted > as_of:
            continue
        for control, entries in by_control(record):
            amount, base = left(entries, lambda move: as_of is None or move.day <= as_of)
            if amount or base:
                found.append(_printed(record, control, amount, base))
    return found


def by_control(record: Record) -> Iterator[tuple[str, list[Entry]]]:
    """Give the entries of a record per control account."""
    groups: dict[str, list[Entry]] = defaultdict(list)
    for entry in record.entries:
        groups[entry.control].append(entry)
    yield from groups.items()


def left(entries: Iterable[Entry], counts: Any) -> tuple[Decimal, Decimal]:
    """Add up what entries leave open when only the moves that count are taken."""
    amount = base = Decimal(0)
    for entry in entries:
        moves: list[Move] = [move for move in entry.moves if counts(move)]
        amount += entry.amount - sum(move.amount for move in moves)
        base += entry.base - sum(move.base for move in moves)
    return amount, base


def _printed(record: Record, control: str, amount: Decimal, base: Decimal) -> dict[str, Any]:
    return {
        "object": record.object,
        "key": str(record.key),
        "document": record.reference if record.object in (PAYMENT, ADVANCE) else record.number,
        "entity": record.entity.code,
        "account": control,
        "customer": record.customer.number if record.customer else "",
        "currency": record.currency,
        "amount": f"{amount:f}",
        "company_currency": record.entity.currency,
        "company_amount": f"{base:f}",
        "due_date": record.due.isoformat() if record.due else None,
    }
