"""What a run works out of clearings and open payments, over runs: allocations come, stay, change and go."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from receivables.errors import Conflict
from receivables.records import Allocation, ControlAccount, Receipt

ITEMS = "select number, open, company_open from receivables.open_item order by number, instalment"
RECEIPTS = "select number, unapplied, company_unapplied from receivables.receipt order by number, line"
ALLOCATIONS = """
select source, source_number, target_number, amount, allocated_on::text
from receivables.allocation order by number, sequence"""
GONE = "select source_number, target_number, amount from receivables.allocation_history order by number, sequence"


def receipt(number: str, amount: str = "250.00", **fields: Any) -> Receipt:
    """A receipt in EUR of the customer and account of `make.item`."""
    open_ = "0" if fields.get("cleared_on") else amount
    given: dict[str, Any] = {
        "entity": "1010", "fiscal_year": "2026", "line": "2", "account": "12100000", "customer": "10100001",
        "printed": number, "currency": "EUR", "amount": amount, "unapplied": open_, "company_currency": "EUR",
        "company_amount": amount, "company_unapplied": open_, "booked_on": "2026-02-20", "value_on": "2026-02-20",
        "status": "received",
    }  # fmt: skip
    return Receipt(number=number, **given | fields)


def cleared(number: str = "40", day: str = "2026-03-02") -> dict[str, str]:
    return {"cleared_on": day, "clearing_document": f"{number}/2026"}


def rows(office: Any, query: str) -> list[tuple[str, ...]]:
    return [tuple(str(value) for value in row) for row in office.sql(query)]


def test_a_part_payment_opens_its_item_less_and_is_not_unapplied(office: Any, make: Any) -> None:
    office.load(make.item("12"), make.document("12"), receipt("31", related="12/2026/1"))
    assert rows(office, ITEMS) == [("12", "350.00", "350.00")]
    assert rows(office, RECEIPTS) == [("31", "0.00", "0.00")]
    assert rows(office, ALLOCATIONS) == [("receipt", "31", "12", "250.00", "2026-02-20")]
    publication = office.store.status(1, 1).publication
    assert publication.counts["allocation"] == 1
    (total,) = publication.totals
    assert (total["open"], total["unapplied"], total["items"], total["receipts"]) == ("350.00", "0.00", 1, 1)
    assert total["buckets"] == {"over 180": "350.00", "unapplied": "0.00"}
    assert office.store.status(1, 1).open_amounts == [(Decimal("350.00"), "EUR")]


def test_a_payment_of_a_later_run_finds_the_item_that_is_published(office: Any, make: Any) -> None:
    office.load(make.item("12"), make.document("12"))
    office.load(receipt("31", related="12/2026/1"))
    assert rows(office, ITEMS) == [("12", "350.00", "350.00")]
    assert rows(office, "select open, open from receivables.open_item_history") == [("600.00", "600.00")]
    publication = office.store.status(1, 1).publication
    assert {name: n for name, n in publication.changes.items() if n} == {
        "open_item": 1, "receipt": 1, "allocation": 1,
    }  # fmt: skip


def test_an_item_that_is_read_again_is_still_paid_in_part(office: Any, make: Any) -> None:
    office.load(make.item("12"), receipt("31", related="12/2026/1"))
    office.load(make.item("12", dunning_level="1"))
    assert rows(office, ITEMS) == [("12", "350.00", "350.00")]
    changes = office.store.status(1, 1).publication.changes
    assert (changes["open_item"], changes["receipt"], changes["allocation"]) == (1, 0, 0)


def test_the_rest_is_paid_and_the_part_stays_the_same_fact(office: Any, make: Any) -> None:
    office.load(make.item("12"), receipt("31", related="12/2026/1"))
    office.load(
        make.item("12", **cleared()),
        receipt("31", related="12/2026/1", **cleared()),
        receipt("40", "350.00", booked_on="2026-03-02", **cleared()),
    )
    assert rows(office, ALLOCATIONS) == [
        ("receipt", "31", "12", "250.00", "2026-02-20"), ("receipt", "40", "12", "350.00", "2026-03-02"),
    ]  # fmt: skip
    assert rows(office, ITEMS) == [("12", "0.00", "0.00")]
    assert office.store.status(1, 1).publication.changes["allocation"] == 1
    assert rows(office, GONE) == []


def test_a_clearing_whose_members_come_in_different_runs(office: Any, make: Any) -> None:
    office.load(make.item("12"), receipt("40", "600.00", **cleared()))
    assert rows(office, ALLOCATIONS) == [("receipt", "40", "40", "600.00", "2026-03-02")]
    office.load(make.item("12", **cleared()))
    assert rows(office, ALLOCATIONS) == [("receipt", "40", "12", "600.00", "2026-03-02")]
    assert rows(office, GONE) == [("40", "40", "600.00")]


def test_a_clearing_that_was_reset_takes_its_allocations_away(office: Any, make: Any) -> None:
    paid = [make.item("12", **cleared()), receipt("40", "600.00", **cleared())]
    reset = [make.item("12"), receipt("40", "600.00")]
    office.load(*reset)
    before = office.store.status(1, 1).publication.content_hash
    office.load(*paid)
    assert rows(office, ALLOCATIONS) == [("receipt", "40", "12", "600.00", "2026-03-02")]
    office.load(*reset)
    assert rows(office, ALLOCATIONS) == []
    assert rows(office, GONE) == [("40", "12", "600.00")]
    assert rows(office, RECEIPTS) == [("40", "600.00", "600.00")]
    publication = office.store.status(1, 1).publication
    assert (publication.content_hash, publication.counts["allocation"]) == (before, 0)
    office.load(*paid, connector_id=2)
    office.load(*paid)
    assert (
        office.store.status(1, 1).publication.content_hash
        == office.store.status(1, 2).publication.content_hash
    )


def test_a_payment_that_paid_something_else_in_the_end_frees_its_item(office: Any, make: Any) -> None:
    office.load(make.item("12"), make.item("13", original="250.00"), receipt("31", related="12/2026/1"))
    assert rows(office, ITEMS) == [("12", "350.00", "350.00"), ("13", "250.00", "250.00")]
    office.load(
        make.item("13", original="250.00", **cleared()), receipt("31", related="12/2026/1", **cleared())
    )
    assert rows(office, ITEMS) == [("12", "600.00", "600.00"), ("13", "0.00", "0.00")]
    assert rows(office, ALLOCATIONS) == [("receipt", "31", "13", "250.00", "2026-03-02")]


def test_an_item_cleared_without_its_payment_leaves_that_unapplied_and_says_so(
    office: Any, make: Any
) -> None:
    office.load(make.item("12"), receipt("31", related="12/2026/1"))
    with office.run() as run:
        make.stage(run, make.item("12", **cleared()), receipt("40", "600.00", **cleared()))
        run.tie_out(office.totals(run), {})
        assert run.notes == [
            "Receipt 31/2026 of 1010 names 12/2026/1, which is cleared: 250.00 EUR stay unapplied."
        ]
        run.publish()
    assert rows(office, RECEIPTS) == [("31", "250.00", "250.00"), ("40", "0", "0")]
    assert office.store.status(1, 1).run.notes == run.notes


def test_an_over_payment_stays_unapplied_and_is_told(office: Any, make: Any) -> None:
    with office.run() as run:
        make.stage(run, make.item("12", original="100.00"), receipt("31", related="12/2026/1"))
        run.tie_out(office.totals(run), {})
        assert run.notes == [
            "Receipt 31/2026 of 1010 names 12/2026/1, which is of 100.00 EUR: 150.00 EUR stay unapplied."
        ]
        run.publish()
    assert rows(office, ITEMS) == [("12", "0.00", "0.00")]
    assert rows(office, RECEIPTS) == [("31", "150.00", "150.00")]


def test_an_advance_is_known_by_its_account(office: Any, make: Any) -> None:
    account = ControlAccount("1010", "21190000", "advances")
    office.load(
        account, make.item("7", account="21190000", original="250.00", **cleared("7")),
        receipt("31", account="21190000", **cleared("7")),
    )  # fmt: skip
    assert rows(office, ALLOCATIONS)[0][0] == "advance"


def test_a_type_of_document_that_means_something_else_takes_items_and_documents_away(
    office: Any, make: Any
) -> None:
    taken = make.item("31", instalment="2", original="-250.00", posted_on="2026-02-20")
    office.load(make.item("12"), taken, make.document("31", type="ZR", kind="journal"))
    office.load(make.item("12"), receipt("31", related="12/2026/1"), settings_digest="other")
    assert rows(office, ITEMS) == [("12", "350.00", "350.00")]
    assert rows(office, "select count(*), 0 from receivables.document") == [("0", "0")]
    office.load(make.item("12"), taken, make.document("31", type="ZR", kind="journal"), settings_digest="s")
    assert rows(office, ITEMS) == [("12", "600.00", "600.00"), ("31", "-250.00", "-250.00")]
    assert rows(office, RECEIPTS) == rows(office, ALLOCATIONS) == []
    counts = office.store.status(1, 1).publication.counts
    assert (counts["open_item"], counts["receipt"], counts["allocation"], counts["document"]) == (2, 0, 0, 1)


def test_nothing_is_worked_out_twice_however_often_it_is_compared(office: Any, make: Any) -> None:
    with office.run() as run:
        make.stage(run, make.item("12"), receipt("31", related="12/2026/1"), slice_="a")
        run.tie_out([], {})
        make.stage(run, make.item("12", text="read again"), slice_="b")
        totals = office.totals(run)
        run.tie_out(totals, {})
        run.tie_out(totals, {})
        run.publish()
    assert rows(office, "select text, open from receivables.open_item") == [("read again", "350.00")]
    assert rows(office, ALLOCATIONS) == [("receipt", "31", "12", "250.00", "2026-02-20")]


# -- comparing with the ledger ------------------------------------------------------------------------------------


def test_lines_that_stay_whole_are_compared_whole(office: Any, make: Any) -> None:
    """SAP: the payment of another customer is on that customer in the ledger, and off this one's invoice here."""
    totals = [
        make.total("1010", "12100000", "350.00", items=2),
        make.total("1010", "12100000", "600.00", customer="10100001"),
        make.total("1010", "12100000", "-250.00", customer="77"),
    ]
    with office.run() as run:
        make.stage(run, make.item("12"), receipt("31", related="12/2026/1", customer="77"))
        assert [line.status for line in run.tie_out(totals, {})] == ["equal"]
        documents = run.our_documents("1010", "12100000", "EUR", None, date(2026, 11, 30))
        assert documents == [("12/2026", "600.00"), ("31/2026", "-250.00")]


def rest_facts(make: Any) -> list[Any]:
    """Intacct: an invoice of 600, of which 200 are paid on the 20th and 50 on the 25th of November."""
    parts = [
        Allocation(
            number="9001", entity="1010", sequence=kind, source="receipt", source_number="701", source_fiscal_year="2026",
            source_line="2", target_number="501", target_fiscal_year="2026", target_instalment="1",
            target_account="12100000", currency="EUR", amount=amount, company_currency="EUR", company_amount=amount,
            discount="0", company_discount="0", company_difference="0", allocated_on=day,
        )
        for kind, amount, day in (("a", "200.00", "2026-11-20"), ("b", "50.00", "2026-11-25"))
    ]  # fmt: skip
    invoice = make.item("501", open="350.00", company_open="350.00", carries="rest")
    paid = receipt(
        "701", "300.00", unapplied="50.00", company_unapplied="50.00", booked_on="2026-11-20", carries="rest"
    )
    return [invoice, paid, *parts]


@pytest.mark.parametrize(
    ("as_of", "closing", "documents"),
    [
        ("2026-11-19", "600.00", [("501/2026", "600.00")]),
        ("2026-11-20", "300.00", [("501/2026", "400.00"), ("701/2026", "-100.00")]),
        ("2026-11-25", "300.00", [("501/2026", "350.00"), ("701/2026", "-50.00")]),
    ],
)
@pytest.mark.parametrize("published", [True, False])
def test_lines_that_carry_their_rest_get_back_what_was_allocated_later(
    office: Any, make: Any, as_of: str, closing: str, documents: list[Any], *, published: bool
) -> None:
    facts = rest_facts(make)
    if published:
        office.load(*facts)
    with office.run() as run:
        make.stage(run, *(facts if not published else [make.item("1", original="0.00")]))
        totals = [
            make.total("1010", "12100000", closing, as_of=as_of),
            make.total("1010", "12100000", closing, as_of=as_of, customer="10100001"),
        ]
        assert [line.status for line in run.tie_out(totals, {})] == ["equal"]
        shown = run.our_documents("1010", "12100000", "EUR", None, date.fromisoformat(as_of))
        assert [one for one in shown if one[0] != "1/2026"] == documents


def test_facts_of_the_erp_are_left_as_they_are(office: Any, make: Any) -> None:
    office.load(*rest_facts(make))
    assert rows(office, ITEMS) == [("501", "350.00", "350.00")]
    assert len(rows(office, ALLOCATIONS)) == 2
    office.load(make.item("501", open="350.00", company_open="350.00", carries="rest", text="again"))
    assert len(rows(office, ALLOCATIONS)) == 2


# -- invariants ---------------------------------------------------------------------------------------------------

GAP = (
    "Item 501/2026/1 of 1010, customer 10100001: open is {0} EUR, its allocations leave 400.00; "
    "in company currency {0} and 400.00 (one of 1 such items)."
)


def broken_by(office: Any, make: Any, *records: Any) -> tuple[list[str], list[str]]:
    with office.run() as run:
        make.stage(run, *records)
        run.tie_out(office.totals(run), {})
        return run.broken, run.notes


def test_a_gap_of_the_erp_is_told_and_does_not_hold(office: Any, make: Any) -> None:
    invoice, paid, first, _ = rest_facts(make)
    assert broken_by(office, make, invoice, paid, first) == (
        [],
        [GAP.format("350.00")],
    )


def test_an_allocation_by_hand_that_contradicts_a_worked_out_item_holds(office: Any, make: Any) -> None:
    _, _, first, _ = rest_facts(make)
    with office.run() as run:
        make.stage(run, make.item("501"), first)
        run.tie_out(office.totals(run), {})
        assert run.broken == [GAP.format("600.00")]
        with pytest.raises(Conflict, match="its allocations leave"):
            run.publish()


def test_a_credit_note_that_adds_and_a_rate_that_does_not_fit_are_told(office: Any, make: Any) -> None:
    adding = make.document("12", kind="credit_note")
    taken_back = make.document("13", kind="credit_note", reversal_of="9/2026")
    dollars = {"currency": "USD", "original": "110.00", "company_open": "100.00"}
    close = make.item("14", **dollars, company_original="100.01")
    far = make.item("14", **dollars, instalment="2", company_original="100.02")
    held, notes = broken_by(
        office, make, make.item("12"), adding, make.item("13"), taken_back,
        make.document("14", currency="USD", rate="0.909090909"), close, far,
    )  # fmt: skip
    assert [note for note in notes if "Credit note" in note] == [
        "Credit note 12/2026 of 1010, customer 10100001, adds 600.00 EUR to the balance."
    ]
    assert [note for note in notes if " at " in note] == [
        "Item 14/2026/2 of 1010: 110.00 USD at 0.909090909 is not 100.02 EUR."
    ]
    assert held == []


def test_a_document_whose_instalments_are_not_its_total_any_more_holds(office: Any, make: Any) -> None:
    office.load(make.item("12"), make.document("12"))
    held, _ = broken_by(office, make, make.item("12", instalment="2", original="1.00"))
    assert held == ["Document 12/2026 of 1010 is of 600.00 EUR, its instalments sum to 601.00."]


def test_rows_that_no_run_changed_are_told_and_the_hash_is_theirs_again(office: Any, make: Any) -> None:
    office.load(make.item("12"))
    before = office.store.status(1, 1).publication.content_hash
    office.sql("update receivables.open_item set digest = ~digest")
    with office.run(sweep=True) as run:
        make.stage(run, make.item("12"))
        run.tie_out(office.totals(run), {})
        assert run.publish().content_hash == before
    assert office.store.status(1, 1).run.notes == [
        "Rows were changed since publication 1 by something that is no run."
    ]


# -- credits that pay what they name -------------------------------------------------------------------------


def credit(make: Any, amount: str = "-120.00", **fields: Any) -> tuple[Any, Any]:
    """A credit note that pays 12/2026/1, where the connector is told so."""
    return (
        make.item("19", original=amount, posted_on="2026-02-25", **{"pays": "12/2026/1"} | fields),
        make.document("19", kind="credit_note"),
    )


def test_a_credit_that_pays_lowers_its_item_and_itself(office: Any, make: Any) -> None:
    office.load(make.item("12"), make.document("12"), *credit(make))
    assert rows(office, ITEMS) == [("12", "480.00", "480.00"), ("19", "0.00", "0.00")]
    assert rows(office, ALLOCATIONS) == [("credit_note", "19", "12", "120.00", "2026-02-25")]
    publication = office.store.status(1, 1).publication
    assert publication.totals[0]["open"] == "480.00"


def test_a_credit_and_a_payment_of_different_runs_pay_one_item(office: Any, make: Any) -> None:
    office.load(make.item("12"), make.document("12"))
    office.load(*credit(make))
    office.load(receipt("31", related="12/2026/1"))
    assert rows(office, ITEMS) == [("12", "230.00", "230.00"), ("19", "0.00", "0.00")]
    assert rows(office, RECEIPTS) == [("31", "0.00", "0.00")]
    office.load(
        make.item("12"),
        make.document("12"),
        *credit(make),
        receipt("31", related="12/2026/1"),
        connector_id=2,
    )
    one, other = (office.store.status(1, connector).publication for connector in (1, 2))
    assert one.content_hash == other.content_hash


def test_a_credit_of_more_than_its_item_keeps_the_rest_and_says_so(office: Any, make: Any) -> None:
    with office.run() as run:
        make.stage(run, make.item("12", original="100.00"), make.document("12"), *credit(make))
        for _ in range(2):
            run.tie_out(office.totals(run), {})
            assert run.notes == [
                "Credit note 19/2026 of 1010 names 12/2026/1, which is of 100.00 EUR: 20.00 EUR stay unapplied."
            ]
        run.publish()
    assert rows(office, ITEMS) == [("12", "0.00", "0.00"), ("19", "-20.00", "-20.00")]


def test_a_credit_that_does_not_pay_any_more_frees_its_item(office: Any, make: Any) -> None:
    office.load(make.item("12"), make.document("12"), *credit(make))
    office.load(*credit(make, pays=None))
    assert rows(office, ITEMS) == [("12", "600.00", "600.00"), ("19", "-120.00", "-120.00")]
    assert rows(office, ALLOCATIONS) == []


def test_a_credit_that_paid_and_is_cleared_later_is_allocated_once(office: Any, make: Any) -> None:
    office.load(make.item("12"), make.document("12"), *credit(make))
    office.load(
        make.item("12", **cleared()),
        credit(make, **cleared())[0],
        receipt("40", "480.00", booked_on="2026-03-02", **cleared()),
    )
    assert rows(office, ALLOCATIONS) == [
        ("credit_note", "19", "12", "120.00", "2026-03-02"), ("receipt", "40", "12", "480.00", "2026-03-02"),
    ]  # fmt: skip
    assert rows(office, ITEMS) == [("12", "0.00", "0.00"), ("19", "0.00", "0.00")]


# -- receipts are money --------------------------------------------------------------------------------------

MONEY = """
select number, amount, not_cash, company_amount, company_not_cash, unapplied from receivables.receipt
order by number, line"""


def test_a_discount_in_the_line_of_a_payment_is_no_money(office: Any, make: Any) -> None:
    office.load(
        make.item("12", **cleared(), discount="12.00", company_discount="12.00"),
        receipt("40", "600.00", **cleared()),
    )
    assert rows(office, MONEY) == [("40", "588.00", "12.00", "588.00", "12.00", "0")]
    assert rows(office, "select amount, discount from receivables.allocation") == [("600.00", "12.00")]


def test_a_discount_that_the_clearing_posted_is_not_taken_off_the_payment(office: Any, make: Any) -> None:
    office.load(
        make.item("12", **cleared(), discount="12.00", company_discount="12.00"),
        receipt("40", "588.00", **cleared()),
    )
    assert rows(office, MONEY) == [("40", "588.00", "0", "588.00", "0", "0")]


def test_the_rest_of_a_short_payment_is_no_money(office: Any, make: Any) -> None:
    office.load(
        make.item("12", **cleared()),
        receipt("40", "600.00", **cleared()),
        make.item("40", instalment="3", original="60.00", related="12/2026/1"),
    )
    assert rows(office, MONEY) == [("40", "540.00", "60.00", "540.00", "60.00", "0")]


def test_money_and_discount_in_two_currencies(office: Any, make: Any) -> None:
    """110 USD at 1.00 are 100.00 EUR; the payment of 107.80 USD came in at a better rate: 3.00 EUR gained."""
    dollars = {"currency": "USD", "original": "110.00", "company_original": "100.00"}
    office.load(
        make.item("12", **dollars, **cleared(), company_open="0", discount="2.20", company_discount="2.00"),
        receipt("40", "110.00", currency="USD", company_amount="103.00", company_unapplied="0", **cleared()),
    )
    assert rows(office, MONEY) == [("40", "107.80", "2.20", "101.00", "2.00", "0")]
    assert rows(
        office, "select company_amount, company_discount, company_difference from receivables.allocation"
    ) == [("100.00", "2.00", "3.00")]


def test_what_is_no_money_still_counts_in_the_account(office: Any, make: Any) -> None:
    """Compared before the day of the clearing, the whole line of the payment is in the ledger."""
    late = cleared(day="2026-12-15")
    item = make.item("12", **late, discount="12.00", company_discount="12.00")
    for also in ([receipt("40", "600.00", booked_on="2026-11-20", **late)], []):
        with office.run() as run:
            make.stage(run, item, *also)
            total = make.total("1010", "12100000", "0.00", as_of="2026-11-30")
            assert [line.status for line in run.tie_out([total], {})] == ["equal"]
            run.publish()


def test_a_clearing_that_was_reset_is_money_again(office: Any, make: Any) -> None:
    granted = {"discount": "12.00", "company_discount": "12.00"}
    office.load(make.item("12"), receipt("40", "600.00"))
    before = office.store.status(1, 1).publication.content_hash
    office.load(make.item("12", **cleared(), **granted), receipt("40", "600.00", **cleared()))
    office.load(make.item("12"), receipt("40", "600.00"))
    assert rows(office, MONEY) == [("40", "600.00", "0", "600.00", "0", "600.00")]
    assert office.store.status(1, 1).publication.content_hash == before


def test_a_discount_that_is_read_later_takes_the_published_receipt_along(office: Any, make: Any) -> None:
    office.load(make.item("12", **cleared()), receipt("40", "600.00", **cleared()))
    office.load(make.item("12", **cleared(), discount="12.00", company_discount="12.00"))
    assert rows(office, MONEY) == [("40", "588.00", "12.00", "588.00", "12.00", "0")]


def test_a_receipt_that_is_not_what_was_put_on_items_holds(office: Any, make: Any) -> None:
    _, _, first, _ = rest_facts(make)
    with office.run() as run:
        make.stage(
            run,
            receipt(first.source_number, line=first.source_line, fiscal_year=first.source_fiscal_year),
            first,
        )
        run.tie_out(office.totals(run), {})
        assert [sentence for sentence in run.broken if sentence.startswith("Receipt ")] != []
        with pytest.raises(Conflict):
            run.publish()
