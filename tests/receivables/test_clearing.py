"""Who paid whom: clearings allocate every line whole, whatever is in them; open payments take no more than is open."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from receivables.clearing import Line, clearing, payments
from receivables.records import Allocation

CENT = Decimal("0.01")


def line(number: str, amount: str, **values: Any) -> Line:
    """A cleared line of 1010 in EUR; `amount` also is the company amount."""
    given_ = {
        "entity": "1010", "fiscal_year": "2026", "line": "1", "account": "12100000", "currency": "EUR",
        "company_currency": "EUR", "company_amount": Decimal(values.pop("company", amount)), "posted_on": "2026-01-15",
        "due_on": None, "cleared_on": "2026-03-02", "clearing": "9/2026", "related": None, "discount": None,
        "company_discount": None, "source": "receipt", "reverses": None, "residual": False,
    }  # fmt: skip
    return Line(number=number, amount=Decimal(amount), **{**given_, **values})


def told(allocations: list[Allocation]) -> list[tuple[str, ...]]:
    return [
        (a.source, f"{a.source_number}/{a.source_line}", f"{a.target_number}/{a.target_instalment}", a.amount)
        for a in allocations
    ]


def test_the_worked_example_of_the_next_day() -> None:
    """12-1 of 600 is cleared by what was paid in part and by a payment of the rest."""
    found = clearing(
        [
            line("12", "600.00", due_on="2026-02-14", clearing="40/2026"),
            line("31", "-250.00", line="2", posted_on="2026-02-20", related="12/2026/1", clearing="40/2026"),
            line("40", "-350.00", line="2", posted_on="2026-03-02", clearing="40/2026"),
        ]
    )
    assert told(found) == [
        ("receipt", "31/2", "12/1", "250.00"), ("receipt", "40/2", "12/1", "350.00"),
    ]  # fmt: skip
    assert [(a.number, a.sequence) for a in found] == [("31/2026", "2>12/2026/1"), ("40/2026", "2>12/2026/1")]
    assert [a.allocated_on for a in found] == ["2026-02-20", "2026-03-02"]
    assert not any(a.derived for a in found)


def test_the_allocation_of_a_part_is_the_same_fact_before_and_after_the_clearing() -> None:
    invoice = line("12", "600.00", cleared_on=None, clearing=None)
    part = line("31", "-250.00", cleared_on=None, clearing=None, posted_on="2026-02-20", related="12/2026/1")
    before = payments(invoice, [part])
    assert (before.open, before.unapplied) == (Decimal("350.00"), [(Decimal(0), Decimal(0))])
    after = clearing(
        [
            invoice._replace(cleared_on="2026-03-02", clearing="40/2026"),
            part._replace(cleared_on="2026-03-02", clearing="40/2026"),
            line("40", "-350.00", posted_on="2026-03-02", clearing="40/2026"),
        ]
    )
    assert after[0] == before.allocations[0]


def test_a_reversal_is_a_journal_allocation_line_by_line() -> None:
    found = clearing(
        [
            line("25", "100.00", line="1", source="journal", due_on="2026-05-01"),
            line("25", "100.00", line="2", source="journal", due_on="2026-04-01"),
            line("26", "-100.00", line="1", source="journal", reverses="25/2026"),
            line("26", "-100.00", line="2", source="journal", reverses="25/2026"),
        ]
    )
    assert told(found) == [("journal", "26/1", "25/1", "100.00"), ("journal", "26/2", "25/2", "100.00")]
    assert not any(a.derived for a in found)


def test_a_payment_that_was_taken_back() -> None:
    (one,) = clearing([line("31", "-50.00", source="journal"), line("32", "50.00", reverses="31/2026")])
    assert (one.source, one.source_number, one.target_number, one.amount) == ("journal", "31", "32", "50.00")


def test_a_short_payment_moves_the_rest_to_a_new_item() -> None:
    found = clearing(
        [
            line("12", "600.00", clearing="40/2026"),
            line("40", "-600.00", line="2", clearing="40/2026"),
            line(
                "40", "60.00", line="3", related="12/2026/1", residual=True, cleared_on=None, source="journal"
            ),
        ]
    )
    assert told(found) == [("journal", "40/3", "12/1", "60.00"), ("receipt", "40/2", "12/1", "540.00")]


def test_the_rest_that_names_no_item_is_of_the_debits_due_last() -> None:
    found = clearing(
        [
            line("11", "50.00", due_on="2026-03-01", clearing="40/2026"),
            line("12", "600.00", due_on="2026-02-01", clearing="40/2026"),
            line("40", "-650.00", line="2", clearing="40/2026"),
            line("40", "60.00", line="3", residual=True, cleared_on=None, source="journal"),
        ]
    )
    assert told(found) == [
        ("journal", "40/3", "11/1", "50.00"), ("journal", "40/3", "12/1", "10.00"), ("receipt", "40/2", "12/1", "590.00"),
    ]  # fmt: skip
    assert [one.derived for one in found] == [True, True, False]


def test_several_on_both_sides_are_taken_in_order_and_marked() -> None:
    found = clearing(
        [
            line("3", "-70.00", posted_on="2026-02-02"),
            line("2", "-30.00", posted_on="2026-02-01", source="credit_note"),
            line("11", "60.00", due_on="2026-03-01"),
            line("12", "40.00", due_on="2026-02-01"),
        ]
    )
    assert told(found) == [
        ("credit_note", "2/1", "12/1", "30.00"), ("receipt", "3/1", "12/1", "10.00"), ("receipt", "3/1", "11/1", "60.00"),
    ]  # fmt: skip
    assert all(a.derived for a in found)


def test_a_discount_inside_the_payments_line_is_a_part_of_what_it_paid() -> None:
    (one,) = clearing(
        [
            line("12", "100.00", discount=Decimal("2.00"), company_discount=Decimal("2.00")),
            line("40", "-100.00"),
        ]
    )
    assert (one.amount, one.discount, one.company_discount) == ("100.00", "2.00", "2.00")


def test_a_discount_that_the_payment_does_not_hold_goes_on_top() -> None:
    dollars = {"currency": "USD"}
    (one,) = clearing(
        [
            line(
                "12",
                "100.00",
                company="90.00",
                discount=Decimal("2.00"),
                company_discount=Decimal("1.80"),
                **dollars,
            ),
            line("40", "-98.00", company="-87.20", **dollars),
        ]
    )
    assert (one.amount, one.discount, one.company_amount, one.company_discount) == (
        "100.00",
        "2.00",
        "90.00",
        "1.80",
    )
    # What the payment gave: 90.00 - 1.80 + difference = 87.20.
    assert one.company_difference == "-1.00"


def test_an_exchange_difference_is_what_the_payment_was_worth_more() -> None:
    (one,) = clearing(
        [
            line("12", "110.00", company="100.00", currency="USD"),
            line("40", "-110.00", company="-103.00", currency="USD"),
        ]
    )
    assert (one.amount, one.company_amount, one.company_difference) == ("110.00", "100.00", "3.00")


def test_what_no_line_answers_for_stands_against_the_clearing_document() -> None:
    (written_off,) = clearing([line("12", "5.00")])
    assert told([written_off]) == [("journal", "9/", "12/1", "5.00")]
    (paid_out,) = clearing([line("7", "-5.00", source="credit_note")])
    assert told([paid_out]) == [("credit_note", "7/1", "9/", "5.00")]
    assert written_off.derived
    assert paid_out.derived


def test_currencies_do_not_pay_each_other() -> None:
    found = clearing([line("12", "100.00", currency="USD", company="92.00"), line("40", "-92.00")])
    assert {(a.source_number, a.target_number, a.currency) for a in found} == {
        ("9", "12", "USD"), ("40", "9", "EUR"),
    }  # fmt: skip


def test_an_overpaid_item_leaves_the_later_payment_unapplied() -> None:
    item = line("12", "100.00", cleared_on=None)
    early = line("31", "-70.00", posted_on="2026-02-01", cleared_on=None)
    late = line("30", "-80.00", posted_on="2026-02-02", cleared_on=None, company="-80.00")
    paid = payments(item, [late, early])
    assert (paid.open, paid.unapplied) == (Decimal(0), [(Decimal("50.00"),) * 2, (Decimal(0),) * 2])
    assert told(paid.allocations) == [
        ("receipt", "31/1", "12/1", "70.00"),
        ("receipt", "30/1", "12/1", "30.00"),
    ]


def test_a_cleared_item_and_one_of_another_currency_take_nothing() -> None:
    payment = line("31", "-70.00", cleared_on=None)
    for item in (line("12", "100.00"), line("12", "100.00", currency="USD", cleared_on=None)):
        paid = payments(item, [payment])
        assert (paid.allocations, paid.unapplied) == ([], [(Decimal("70.00"), Decimal("70.00"))])


# -- whatever is in a clearing -----------------------------------------------------------------------------------

CENTS = st.integers(1, 50_000).map(lambda cents: cents * CENT)
DAYS = st.sampled_from(["2026-01-15", "2026-02-01", "2026-02-20"])


@st.composite
def groups(draw: st.DrawFn) -> list[Line]:
    """Invoices, payments, credit notes and residual items of two currencies, with names, rates and discounts."""
    debits = draw(st.lists(st.tuples(CENTS, CENTS, DAYS, st.sampled_from(["EUR", "USD"])), max_size=5))
    found = []
    for place, (amount, worth, day, currency) in enumerate(debits):
        company = amount if currency == "EUR" else worth
        discount = draw(st.none() | st.integers(1, 500).map(lambda cents: cents * CENT))
        found.append(
            line(f"1{place}", f"{amount}", company=f"{company}", posted_on=day, due_on=draw(st.none() | DAYS),
                 currency=currency, discount=discount, company_discount=discount)
        )  # fmt: skip
    names = [one.name for one in found]
    for place in range(draw(st.integers(0, 5))):
        amount, worth, day = draw(CENTS), draw(CENTS), draw(DAYS)
        currency = draw(st.sampled_from(["EUR", "USD"]))
        company = amount if currency == "EUR" else worth
        related = draw(st.none() | st.sampled_from(names)) if names else None
        source = draw(st.sampled_from(["receipt", "credit_note", "advance"]))
        found.append(
            line(f"4{place}", f"-{amount}", company=f"-{company}", posted_on=day, currency=currency, related=related,
                 source=source)
        )  # fmt: skip
        rest = draw(st.none() | CENTS) if names else None
        if rest is not None:
            found.append(
                line(f"4{place}", f"{rest}", line="3", posted_on=day, currency=currency, cleared_on=None,
                     clearing=None, related=draw(st.none() | st.sampled_from(names)), residual=True, source="journal")
            )  # fmt: skip
    return draw(st.permutations(found))


@given(groups())
def test_every_line_of_a_clearing_is_allocated_exactly(lines: list[Line]) -> None:
    found = clearing(lines)
    to: defaultdict[str, Decimal] = defaultdict(Decimal)
    company_to: defaultdict[str, Decimal] = defaultdict(Decimal)
    given_: defaultdict[str, Decimal] = defaultdict(Decimal)
    company_given: defaultdict[str, Decimal] = defaultdict(Decimal)
    moved: defaultdict[str, list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    residuals = {one.name for one in lines if one.residual}
    for one in found:
        source = f"{one.source_number}/{one.source_fiscal_year}/{one.source_line}"
        target = f"{one.target_number}/{one.target_fiscal_year}/{one.target_instalment}"
        amount, discount = Decimal(one.amount), Decimal(one.discount)
        company = Decimal(one.company_amount)
        assert amount >= 0
        assert 0 <= discount <= amount
        to[target] += amount
        company_to[target] += company
        if source in residuals:  # the payment's line moved it
            moved[one.number][0] += amount
            moved[one.number][1] += company
        else:
            given_[source] += amount
            company_given[source] += company + Decimal(one.company_difference)
    for of in lines:
        if of.residual:
            continue
        if of.amount > 0:
            assert to[of.name] == of.amount
            assert company_to[of.name] == of.company_amount
        else:
            on_top = sum(
                Decimal(a.discount) for a in found
                if (a.source_number, a.source_line) == (of.number, of.line)
            )  # fmt: skip
            rest = given_[of.name] + moved[of.document][0] + of.amount
            assert 0 <= rest <= on_top  # a discount is in the line, or on top of it
    assert len({(a.number, a.sequence) for a in found}) == len(found)


@given(groups())
def test_a_clearing_does_not_depend_on_the_order_of_its_lines(lines: list[Line]) -> None:
    assert sorted(map(repr, clearing(lines))) == sorted(map(repr, clearing(lines[::-1])))


@given(CENTS, CENTS, st.lists(st.tuples(CENTS, CENTS, DAYS), max_size=5))
def test_open_payments_take_nothing_that_is_not_there(
    original: Decimal, worth: Decimal, given_: list[tuple[Decimal, Decimal, str]]
) -> None:
    item = line("12", f"{original}", company=f"{worth}", currency="USD", cleared_on=None)
    named_by = [
        line(f"3{place}", f"-{amount}", company=f"-{company}", currency="USD", posted_on=day, cleared_on=None)
        for place, (amount, company, day) in enumerate(given_)
    ]
    paid = payments(item, named_by)
    applied = sum((Decimal(a.amount) for a in paid.allocations), Decimal(0))
    company_applied = sum((Decimal(a.company_amount) for a in paid.allocations), Decimal(0))
    assert 0 <= paid.open == original - applied
    assert paid.company_open == worth - company_applied
    assert all(rest >= 0 and company >= 0 for rest, company in paid.unapplied)
    assert sum(rest for rest, _ in paid.unapplied) + applied == sum(amount for amount, *_ in given_)
    assert sum(company for _, company in paid.unapplied) + company_applied == sum(c for _, c, _ in given_)
    assert paid.open == 0 or not any(rest for rest, _ in paid.unapplied)
