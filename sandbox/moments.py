"""The balances of the journal at every moment of a running world, for tests that read while it posts.

A moment begins when a transaction is done and lasts until the next one: what a reader sees in between is the
books of that moment. What was changed is kept, not the balances, and only of the last moments. It refuses
moments that are no longer kept.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

KEPT = 100_000

Cell = tuple[str, str, str]  # company code or entity, account, currency
Pair = tuple[Decimal, Decimal]  # in the document's and in the company's currency
NOTHING: Pair = (Decimal(0), Decimal(0))


@dataclass(frozen=True, slots=True)
class Moment:
    """The end of one transaction: what it changed, and the digest of the balances per customer after it."""

    number: int
    at: datetime
    changes: Mapping[Cell, Pair]
    customers: int


class Moments:
    """The moments of one journal; changes are noted as lines are written, `end` ends the transaction."""

    def __init__(self) -> None:
        self._balances: dict[Cell, Pair] = {}
        self._customers: dict[tuple[Cell, str], Decimal] = {}
        self._digest = 0
        self._changes: defaultdict[Cell, Pair] = defaultdict(lambda: NOTHING)
        self._moved: defaultdict[tuple[Cell, str], Decimal] = defaultdict(Decimal)
        self._kept: deque[Moment] = deque(maxlen=KEPT)

    def note(self, cell: Cell, customer: str, amount: Decimal, company_amount: Decimal) -> None:
        """Note a line of the journal; `customer` is empty unless the line is on a customer's account."""
        held = self._changes[cell]
        self._changes[cell] = (held[0] + amount, held[1] + company_amount)
        if customer:
            self._moved[cell, customer] += amount

    def end(self) -> None:
        """End the transaction; one that wrote no line makes no moment."""
        if not self._changes:
            return
        for cell, change in self._changes.items():
            self._balances[cell] = _sum(self._balances.get(cell, NOTHING), change)
        for key, amount in self._moved.items():
            before = self._customers.get(key, Decimal(0))
            self._digest += _term(key, before + amount) - _term(key, before)
            self._customers[key] = before + amount
        self._digest %= 2**64
        number = self._kept[-1].number + 1 if self._kept else 0
        self._kept.append(Moment(number, datetime.now(UTC), dict(self._changes), self._digest))
        self._changes.clear()
        self._moved.clear()

    def told(self, since: str, until: str) -> dict[str, Any]:
        """Give the moment in force at `since` and every later one up to `until`, with its balances.

        Each is the number of a moment or a time with its zone; empty: the first and the last that are kept.

        Raises:
            ValueError: it is neither, or that moment is no longer kept.
        """
        first, last = self._place(since, self._kept[0]), self._place(until, self._kept[-1])
        balances = dict(self._balances)
        for moment in reversed(self._kept):
            if moment.number == first:
                break
            for cell, (amount, company_amount) in moment.changes.items():
                balances[cell] = _sum(balances[cell], (-amount, -company_amount))
        found = []
        for moment in self._kept:
            if moment.number > last:
                break
            if moment.number > first:
                for cell, change in moment.changes.items():
                    balances[cell] = _sum(balances[cell], change)
            if moment.number >= first:
                found.append(_printed(moment, balances))
        return {"last": self._kept[-1].number, "moments": found}

    def _place(self, text: str, otherwise: Moment) -> int:
        if not text:
            return otherwise.number
        oldest = self._kept[0]
        if text.isdecimal():
            number = min(int(text), self._kept[-1].number)
        else:
            time = datetime.fromisoformat(text)
            if time.tzinfo is None:
                raise ValueError(f"{text} has no time zone")
            number = max((m.number for m in self._kept if m.at <= time), default=oldest.number - 1)
        if number < oldest.number:
            raise ValueError(
                f"{text} is before the first moment that is kept, {oldest.number} at {oldest.at}"
            )
        return number


def _sum(first: Pair, second: Pair) -> Pair:
    return first[0] + second[0], first[1] + second[1]


def _term(key: tuple[Cell, str], amount: Decimal) -> int:
    """Give what one customer's balance on one account adds to the digest."""
    if not amount:
        return 0
    text = "|".join((*key[0], key[1], f"{amount.normalize():f}"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])


def _printed(moment: Moment, balances: Mapping[Cell, Pair]) -> dict[str, Any]:
    return {
        "number": moment.number,
        "at": moment.at.isoformat(),
        "balances": [
            [*cell, f"{amount.normalize():f}", f"{company_amount.normalize():f}"]
            for cell, (amount, company_amount) in sorted(balances.items())
            if amount or company_amount
        ],
        "customers": f"{moment.customers:016x}",
    }
