"""The explanation of what is open: allocations account for what is gone of every item, credit and payment.

In document currency always. In company currency as far as the ERP says it: one that states allocations and
what is left (`carries` is `rest`) gives their worth at the target's rate, not at that of a foreign source.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from connectors.kit.testing.ports import Key, Row

ZERO: Final = Decimal(0)
Pair = tuple[Decimal, Decimal]  # document currency, company currency
NOTHING: Final[Pair] = (ZERO, ZERO)
Sums = defaultdict[Key, Pair]


def explained(items: Sequence[Row], receipts: Sequence[Row], allocations: Sequence[Row]) -> None:
    """Proves that what is gone of each is what was put on it, or taken from it."""
    put, money = _moved(allocations)
    _items_explained(items, put, money)
    _payments_explained(receipts, money)


def _items_explained(items: Sequence[Row], put: Sums, money: Sums) -> None:
    gone, credits_, unstated = _sums(), set(), set()
    for row in items:
        # a document may be on several accounts, and is paid as one
        key: Key = (row["entity"], row["fiscal_year"], row["number"], row["instalment"])
        _add(gone, key, row["original"] - row["open"], row["company_original"] - row["company_open"])
        if (row["original"] or row["company_original"]) < 0:
            credits_.add(key)
            if _source_unstated(row):
                unstated.add(key)
    taken = {key: money[key] if key in credits_ else NOTHING for key in gone}
    _equal(gone, {key: _minus(put[key], taken[key]) for key in gone}, unstated)


def _payments_explained(receipts: Sequence[Row], money: Sums) -> None:
    """A receipt is money: neither the discount that its line may hold nor the rest of a short payment."""
    used, unstated = _sums(), set()
    for row in receipts:
        key: Key = (row["entity"], row["fiscal_year"], row["number"], row["line"])
        _add(used, key, row["amount"] - row["unapplied"], row["company_amount"] - row["company_unapplied"])
        if _source_unstated(row):
            unstated.add(key)
    _equal(used, {key: money[key] for key in used}, unstated)


def _source_unstated(row: Row) -> bool:
    return bool(row["carries"] == "rest" and row["currency"] != row["company_currency"])


def _equal(gone: Mapping[Key, Pair], said: Mapping[Key, Pair], unstated: set[Key]) -> None:
    wrong = {
        key: (pair, said[key])
        for key, pair in gone.items()
        if (pair[:1] != said[key][:1] if key in unstated else pair != said[key])
    }
    assert wrong == {}


def _moved(allocations: Sequence[Row]) -> tuple[Sums, Sums]:
    """What allocations put on each item, and took from each source as money."""
    put, money = _sums(), _sums()
    for row in allocations:
        entity = row["entity"]
        target = entity, row["target_fiscal_year"], row["target_number"], row["target_instalment"]
        source = entity, row["source_fiscal_year"], row["source_number"], row["source_line"]
        _add(put, target, row["amount"], row["company_amount"])
        company = row["company_amount"] - row["company_discount"] + row["company_difference"]
        _add(money, source, row["amount"] - row["discount"], company)
    return put, money


def _sums() -> Sums:
    return defaultdict(lambda: NOTHING)


def _add(sums: Sums, key: Key, amount: Decimal, company: Decimal) -> None:
    sums[key] = _plus(sums[key], (amount, company))


def _plus(one: Pair, other: Pair) -> Pair:
    return one[0] + other[0], one[1] + other[1]


def _minus(one: Pair, other: Pair) -> Pair:
    return one[0] - other[0], one[1] - other[1]
