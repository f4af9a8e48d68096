"""A month of an ERP that lives: deletions, merged, renumbered and blocked customers, an outage of two days.

Every evening but two is read with a sweep, and held only for what the ERP does not show. At the end what is
published is the books, by key and by customer, and nothing was closed for being no longer shown without two proofs;
the list of them is printed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from connectors.kit.testing.comparison import agree
from connectors.kit.testing.ports import Evening
from receivables.errors import Transient
from sandbox.month import play
from tests.conformance.conftest import lender, shared
from tests.conformance.drivers import DRIVERS
from tests.conformance.intacct import Intacct
from tests.conformance.sap import Sap

if TYPE_CHECKING:
    from tests.conformance.lent import Lender, Lent
    from tests.conftest import Tell

__all__ = ["lender", "shared"]

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]

DAYS, DOCUMENTS, SEED = 30, 30, 11
FIRST = date(2026, 3, 2)
OUTAGE = (12, 13)  # the days on which the ERP does not answer
ZERO = Decimal(0)

# Of each entity, customer and currency: the number of lines, and their sum in both currencies.
Sums = dict[tuple[str, str, str], tuple[int, Decimal, Decimal]]


@dataclass(frozen=True)
class Living:
    """What a month of one system must have had, and what happens beside its usual mix, by day."""

    kinds: frozenset[str]
    also: Mapping[int, str]


LIVING = {
    # SAP deletes nothing; what was paid and archived between two reads is gone as well.
    "sap_s4hana": Living(
        frozenset({"merged_customers", "replaced_partners", "blocked_partners", "unblocked_partners"}),
        {5: "archivings", 20: "archivings"},
    ),
    "sage_intacct": Living(
        frozenset({"deletes", "merged_customers", "renumbered_customers", "customers_on_hold"}),
        {},
    ),
}


@pytest.mark.parametrize("system", sorted(DRIVERS))
def test_after_a_month_the_books_agree_and_nothing_closed_without_two_proofs(
    system: str, lender: Lender, tell: Tell
) -> None:
    erp = lender.erp(system, FIRST)
    assert isinstance(erp, Sap | Intacct)
    lent, living = lender.connect(erp), LIVING[system]
    assert lent.sync().verdict == "equal"
    posted: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    for number, day in enumerate(play(erp.running.control, days=DAYS, seed=SEED, documents=DOCUMENTS)):
        posted.update(day["posted"])
        erp.running.moved()
        if kind := living.also.get(number):
            erp.running.post("post", {kind: 1})
            posted[kind] += 1
        ends[away(erp, lent) if number in OUTAGE else evening(erp, lent, vanished=number in living.also)] += 1

    unblock(erp)
    result = lent.sync(sweep=True)

    assert (result.state, result.verdict) == ("published", "equal"), result.explanation
    books = agree(erp, lent, result)
    assert published(lent) == in_the_books(books)
    assert living.kinds <= set(posted)
    assert ends["reading"] == len(OUTAGE)
    assert ends["published"] >= DAYS / 2
    closed = closings(lent)
    what = ", ".join(f"{count} {kind}" for kind, count in sorted(posted.items()))
    tell(f"{system}: {what}", f"Evenings: {dict(ends)}. Closed:", *closed)


def evening(erp: Sap | Intacct, lent: Lent, *, vanished: bool) -> str:
    """The evening's sync: published, or held for what the ERP shows nobody; `vanished` says that something is."""
    result = lent.sync(sweep=True)
    if result.state == "held":
        assert isinstance(erp, Sap), result.verdict
        assert result.reason == "difference"
        suspects = {one.customer for one in lent.hub.suspects(lent.key)}
        assert {line.customer for line in result.differences} - {None} <= erp.unseen() | suspects
    else:
        assert (result.state, result.verdict) == ("published", "equal"), result.explanation
    if vanished:
        assert result.state == "held"
        assert any("the next sweep closes it" in note for note in result.notes), result.notes
    return result.state


def unblock(erp: Sap | Intacct) -> None:
    """Every blocked partner is released; until then what happened to it behind our backs is held, and rightly."""
    erp.running.moved()
    if isinstance(erp, Sap):
        while erp.unseen():
            erp.running.post("post", {"unblocked_partners": 1})


def away(erp: Sap | Intacct, lent: Lent) -> str:
    """The ERP does not answer: the run stays as it is."""
    before = lent.content()
    erp.interrupt(0)
    with pytest.raises(Transient):
        lent.sync(sweep=True)
    erp.well()
    assert lent.content() == before
    return str(max(lent.rows("run"), key=lambda row: row["number"])["state"])


def published(lent: Lent) -> Sums:
    """What is published as open, and with the other sign as not applied."""
    lines = [
        (row["entity"], row["customer"], row["currency"], row["open"], row["company_open"])
        for row in lent.rows("open_item")
    ]
    lines += [
        (row["entity"], row["customer"], row["currency"], -row["unapplied"], -row["company_unapplied"])
        for row in lent.rows("receipt")
    ]
    return summed(lines)


def in_the_books(books: Evening) -> Sums:
    """The same in the ERP's own books."""
    lines = [
        (key[0], owed.customer, owed.currency, owed.open, owed.company_open)
        for key, owed in books.items.items()
    ]
    lines += [
        (key[0], key[-1], rest.currency, -rest.amount, -rest.company_amount)
        for key, rest in books.receipts.items()
    ]
    return summed(lines)


def summed(lines: Iterable[tuple[str, str, str, Decimal, Decimal]]) -> Sums:
    """The lines that come to anything, by entity, customer and currency."""
    sums: Sums = {}
    for *place, amount, company in lines:
        if amount or company:
            entity, customer, currency = place
            count, sum_, company_sum = sums.get((entity, customer, currency), (0, ZERO, ZERO))
            sums[entity, customer, currency] = (count + 1, sum_ + amount, company_sum + company)
    return sums


def closings(lent: Lent) -> list[str]:
    """Every line that closed, with its two proofs: all that was published once and is not any more is there."""
    rows = lent.hub.closings(lent.key)
    for row in rows:
        assert row.first_proof
        assert row.second_proof
        assert row.first_proof != row.second_proof
    keys = [(row.entity, row.fiscal_year, row.number, row.line, row.account) for row in rows]
    assert gone(lent, "open_item", "instalment") | gone(lent, "receipt", "line") <= set(keys)
    assert keys, "a month in which nothing was to close proves nothing"
    return [
        f"  {row.entity} {row.document}/{row.line}  {row.amount:,f} {row.currency}  {row.first_proof} | {row.second_proof}"
        for row in rows
    ]


def gone(lent: Lent, table: str, line: str) -> set[tuple[str, ...]]:
    """The keys that were published once and are not any more."""
    names = ("entity", "fiscal_year", "number", line, "account")
    before, now = (
        {tuple(row[name] for name in names) for row in lent.rows(of)} for of in (f"{table}_history", table)
    )
    return before - now
