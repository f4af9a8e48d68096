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
    put, money, discounts = _moved(allocations)
    _items_explained(items, put, money)
    _payments_explained(receipts, money, discounts)


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


def _payments_explained(receipts: Sequence[Row], money: Sums, discounts: Sums) -> None:
    """A payment is explained as a whole document: the rest of a short one is a debit of its own.

    Whether its line holds the discount that it was granted is the ERP's way to post.
    """
    used, given, granted, unstated = _sums(), _sums(), _sums(), set()
    for row in receipts:
        key: Key = (row["entity"], row["fiscal_year"], row["number"])
        _add(used, key, row["amount"] - row["unapplied"], row["company_amount"] - row["company_unapplied"])
        if _source_unstated(row):
            unstated.add(key)
    for of_lines, of_documents in ((money, given), (discounts, granted)):
        for key, pair in of_lines.items():
            _add(of_documents, key[:3], *pair)
    for key, pair in used.items():
        if pair == _plus(given[key], granted[key]):
            given[key] = pair
    _equal(used, {key: given[key] for key in used}, unstated)


def _source_unstated(row: Row) -> bool:
    return bool(row["carries"] == "rest" and row["currency"] != row["company_currency"])


def _equal(gone: Mapping[Key, Pair], said: Mapping[Key, Pair], unstated: set[Key]) -> None:
    wrong = {
        key: (pair, said[key])
        for key, pair in gone.items()
        if (pair[:1] != said[key][:1] if key in unstated else pair != said[key])
    }
    assert wrong == {}


def _moved(allocations: Sequence[Row]) -> tuple[Sums, Sums, Sums]:
    """What allocations put on each item, took from each source as money, and granted as discount."""
    put, money, discounts = _sums(), _sums(), _sums()
    for row in allocations:
        entity = row["entity"]
        target = entity, row["target_fiscal_year"], row["target_number"], row["target_instalment"]
        source = entity, row["source_fiscal_year"], row["source_number"], row["source_line"]
        _add(put, target, row["amount"], row["company_amount"])
        _add(discounts, source, row["discount"], row["company_discount"])
        company = row["company_amount"] - row["company_discount"] + row["company_difference"]
        _add(money, source, row["amount"] - row["discount"], company)
    return put, money, discounts


def _sums() -> Sums:
    return defaultdict(lambda: NOTHING)


def _add(sums: Sums, key: Key, amount: Decimal, company: Decimal) -> None:
    sums[key] = _plus(sums[key], (amount, company))


def _plus(one: Pair, other: Pair) -> Pair:
    return one[0] + other[0], one[1] + other[1]


def _minus(one: Pair, other: Pair) -> Pair:
    return one[0] - other[0], one[1] - other[1]
