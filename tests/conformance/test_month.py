"""A month of business, a sync every day: the ageing of each past day is that of the ERP's books of that evening."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tests.conformance.drivers import DRIVERS
from tests.conformance.intacct import Intacct
from tests.conformance.sap import Sap

if TYPE_CHECKING:
    from tests.conformance.lent import Lender, Lent
    from tests.conformance.running import Running

pytestmark = pytest.mark.long

DAYS = 30
LIMITS = ((0, "not_due"), (30, "1-30"), (60, "31-60"), (90, "61-90"), (180, "91-180"))
# What happens on which days; every day a payment and two invoices.
BUSINESS: dict[str, Callable[[int], bool]] = {
    "invoice": lambda day: day % 7 < 5,
    "payment": lambda day: day % 7 < 5,
    "credit_note": lambda day: day % 3 == 0,
    "partial_payment": lambda day: day % 2 == 0,
    "partial_payment_reversal": lambda day: day % 8 == 6,
    "payment_on_account": lambda day: day % 5 == 1,
    "payment_reversal": lambda day: day % 6 == 4,
    "discount": lambda day: day % 7 == 3,
    "reversal": lambda day: day % 9 == 5,
    "instalments": lambda day: day % 10 == 2,
}

Aged = dict[tuple[str, ...], dict[str, tuple[Decimal, Decimal]]]


@pytest.mark.parametrize("system", sorted(DRIVERS))
def test_every_day_of_a_month_is_aged_as_the_books_were_that_evening(system: str, lender: Lender) -> None:
    erp = lender.erp(system)
    assert isinstance(erp, Sap | Intacct)
    lent = lender.connect(erp)
    first = erp.now().date() + timedelta(days=1)
    days = [first + timedelta(days=number) for number in range(DAYS)]
    for number, day in enumerate(days):
        erp.begin(day)
        for business, happens in BUSINESS.items():
            if happens(number) and business not in erp.profile.lacks:  # Intacct has no instalments
                erp.post(business, 2 if business == "invoice" else 1)
        result = lent.sync()
        assert (result.state, result.verdict) == ("published", "equal"), (day, result.explanation)

    changed = 0
    for day in days:
        told, expected = aged(lent, day), aged_by_the_books(erp.running, day)
        assert told == expected, f"{system}, {day}"
        changed += told != aged(lent, days[-1])
    assert changed == DAYS - 1  # each day looks different from the last: a view of today would not do


def aged(lent: Lent, day: date) -> Aged:
    """What the hub says of this day, by company, customer and currencies."""
    (report,) = lent.hub.ageing(lent.key, as_of=day)
    found: Aged = {}
    for row in report.rows:
        place = (str(row.entity), str(row.customer), row.currency, row.company_currency)
        both = {name: (row.buckets[name], row.company_buckets[name]) for name in row.buckets}
        found[place] = {name: pair for name, pair in both.items() if any(pair)}
    return {place: buckets for place, buckets in found.items() if buckets}


def aged_by_the_books(running: Running, day: date) -> Aged:
    """The same, from the ERP's books of that evening."""
    told = running.get("evening", day=day.isoformat())
    found: dict[tuple[str, ...], defaultdict[str, list[Decimal]]] = defaultdict(
        lambda: defaultdict(lambda: [Decimal(0), Decimal(0)])
    )
    for item in told["items"]:
        _add(found[_place(item)][_bucket(item["due_date"], day)], item["open"], item["company_open"], 1)
    for receipt in told["receipts"]:
        _add(found[_place(receipt)]["unapplied"], receipt["unapplied"], receipt["company_unapplied"], -1)
    kept = {
        place: {name: (amount, company) for name, (amount, company) in buckets.items() if amount or company}
        for place, buckets in found.items()
    }
    return {place: buckets for place, buckets in kept.items() if buckets}


def _add(pair: list[Decimal], amount: str, company: str, sign: int) -> None:
    pair[0] += sign * Decimal(amount)
    pair[1] += sign * Decimal(company)


def _place(row: dict[str, Any]) -> tuple[str, ...]:
    return (row["entity"], row["customer"], row["currency"], row["company_currency"])


def _bucket(due: str | None, day: date) -> str:
    if due is None:
        return "no_due_date"
    late = (day - date.fromisoformat(due)).days
    return next((name for limit, name in LIMITS if late <= limit), "over 180")
