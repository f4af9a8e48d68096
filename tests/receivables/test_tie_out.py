"""The comparison with the ERP's books: what is equal, what is not, and what must never pass."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from receivables.errors import Conflict, Rejected
from receivables.records import Swept
from receivables.tie_out import TieOut


def compare(
    office: Any, make: Any, items: list[Any], totals: list[Any], tolerance: Any = (), *, connector_id: int = 1
) -> list[TieOut]:
    with office.run(connector_id=connector_id) as run:
        make.stage(run, *items)
        return list(run.tie_out(totals, dict(tolerance)))


def verdicts(lines: list[TieOut]) -> list[tuple[str, str | None, str, str]]:
    return [(line.account, line.customer, line.status, str(line.difference)) for line in lines]


def test_equal(office: Any, make: Any) -> None:
    lines = compare(
        office,
        make,
        [make.item(), make.item("2", original="-120.00")],
        [make.total("1010", "12100000", "480")],
    )
    assert verdicts(lines) == [("12100000", None, "equal", "0.00")]
    assert (lines[0].erp, lines[0].hub) == (Decimal(480), Decimal(480))
    assert (lines[0].hub_items, lines[0].as_of) == (2, date(2026, 11, 30))


@pytest.mark.parametrize(
    ("allowed", "status"), [("0.02", "within"), ("0.01", "different"), ("0", "different")]
)
def test_tolerance(office: Any, make: Any, allowed: str, status: str) -> None:
    totals = [make.total("1010", "12100000", "600.02")]
    lines = compare(office, make, [make.item()], totals, {"EUR": Decimal(allowed), "USD": Decimal(9)})
    assert verdicts(lines) == [("12100000", None, status, "0.02")]


def test_the_day_decides_what_counts(office: Any, make: Any) -> None:
    items = [
        make.item("1", original="1.00", posted_on="2026-11-30"),
        make.item("2", original="2.00", posted_on="2026-12-01"),  # future: not yet
        make.item("3", original="4.00", cleared_on="2026-11-30"),  # cleared by then
        make.item(
            "4", original="8.00", cleared_on="2026-12-01"
        ),  # cleared later: counts with its original amount
    ]
    lines = compare(office, make, items, [make.total("1010", "12100000", "9.00")])
    assert verdicts(lines) == [("12100000", None, "equal", "0.00")]


def test_an_account_without_a_total_is_different_and_named(office: Any, make: Any) -> None:
    items = [
        make.item(),
        make.item("2", account="12110000", original="5.00"),
        make.item("3", entity="1020", original="7.00"),
    ]
    lines = compare(office, make, items, [make.total("1010", "12100000", "600.00")])
    assert [(line.entity, *verdicts([line])[0]) for line in lines] == [
        ("1010", "12100000", None, "equal", "0.00"),
        ("1010", "12110000", None, "different", "-5.00"),
        ("1020", "12100000", None, "different", "-7.00"),
    ]
    assert lines[1].explanation == "The ERP gives no total for this account."


def test_an_account_whose_items_cancel_still_needs_a_total(office: Any, make: Any) -> None:
    items = [make.item("1", original="5.00"), make.item("2", original="-5.00")]
    lines = compare(office, make, items, [make.total("1020", "12100000", "0")])
    assert verdicts(lines) == [("12100000", None, "different", "0.00"), ("12100000", None, "equal", "0")]


def test_no_totals_at_all_prove_nothing(office: Any, make: Any) -> None:
    with office.run() as run:
        make.stage(run, make.item())
        assert verdicts(run.tie_out([], {})) == [("12100000", None, "different", "-600.00")]
        with pytest.raises(Conflict, match="the books differ"):
            run.publish(unproven=True)


def test_a_total_without_items_is_different_unless_zero(office: Any, make: Any) -> None:
    totals = [
        make.total("1010", "12100000", "600.00"),
        make.total("1010", "12110000", "0"),
        make.total("1010", "12130000", "1"),
    ]
    assert verdicts(compare(office, make, [make.item()], totals)) == [
        ("12100000", None, "equal", "0.00"),
        ("12110000", None, "equal", "0"),
        ("12130000", None, "different", "1"),
    ]


def test_errors_that_cancel_in_two_customers_are_seen(office: Any, make: Any) -> None:
    items = [make.item("1", customer="A"), make.item("2", customer="B"), make.item("3", customer="C")]
    totals = [
        make.total("1010", "12100000", "1800.00"),
        make.total("1010", "12100000", "700.00", customer="A"),
        make.total("1010", "12100000", "500.00", customer="B"),
        make.total("1010", "12100000", "600.00", customer="C"),
    ]
    assert verdicts(compare(office, make, items, totals)) == [
        ("12100000", None, "equal", "0.00"),
        ("12100000", "A", "different", "100.00"),
        ("12100000", "B", "different", "-100.00"),
    ]


def test_a_posting_without_customer_and_a_customer_unknown_to_the_ledger(office: Any, make: Any) -> None:
    totals = [
        make.total("1010", "12100000", "642.00"),
        make.total("1010", "12100000", "642.00", customer=""),
    ]
    assert verdicts(compare(office, make, [make.item()], totals)) == [
        ("12100000", None, "different", "42.00"),
        ("12100000", "", "different", "642.00"),
        ("12100000", "10100001", "different", "-600.00"),
    ]


def test_counts_are_compared_where_the_ledger_gives_them(office: Any, make: Any) -> None:
    items = [make.item("1", original="300.00"), make.item("2", original="300.00")]
    lines = compare(office, make, items, [make.total("1010", "12100000", "600.00", items=1)])
    assert verdicts(lines) == [("12100000", None, "different", "0.00")]
    assert lines[0].explanation == "The ERP counts 1 items, we count 2."


def test_document_currency_is_compared_where_the_erp_gives_it(office: Any, make: Any) -> None:
    dollars = make.item(
        "1", currency="USD", original="110.00", company_original="100.00", company_open="100.00"
    )
    yen = make.item("2", currency="JPY", original="12500", company_original="80.00", company_open="80.00")
    company = make.total("1010", "12100000", "180.00")
    assert verdicts(compare(office, make, [dollars, yen], [company])) == [("12100000", None, "equal", "0.00")]
    in_dollars = make.total("1010", "12100000", "110.00", basis="document", currency="USD")
    lines = compare(office, make, [dollars, yen], [company, in_dollars], connector_id=2)
    assert [(line.basis, line.currency, line.status) for line in lines] == [
        ("company", "EUR", "equal"),
        ("document", "JPY", "different"),
        ("document", "USD", "equal"),
    ]


def test_published_rows_are_overlaid_with_what_is_staged(office: Any, make: Any) -> None:
    office.load(make.item("1"), make.item("2", original="50.00"))
    with office.run() as run:
        paid = make.item("2", original="50.00", cleared_on="2026-11-20")
        make.stage(run, make.item("1", text="changed"), paid, make.item("3", original="7.00"))
        lines = run.tie_out([make.total("1010", "12100000", "607.00", items=2)], {})
        assert verdicts(lines) == [("12100000", None, "equal", "0.00")]
        assert run.our_documents("1010", "12100000", "EUR", None, date(2026, 11, 30)) == [
            ("1/2026", "600.00"), ("3/2026", "7.00"),
        ]  # fmt: skip
        assert run.our_documents("1010", "12100000", "EUR", "nobody", date(2026, 11, 30)) == []
        assert run.accounts() == [("1010", "12100000")]


def test_the_weaker_grade_counts(office: Any, make: Any) -> None:
    with office.run() as run:
        make.stage(run, make.item(), make.item("2", account="12110000"))
        totals = [
            make.total("1010", "12100000", "600"),
            make.total("1010", "12110000", "600", grade="aggregate"),
        ]
        run.tie_out(totals, {})
        assert run.publish().grade == "aggregate"


def test_what_is_compared_beside_the_company_currency_does_not_weaken_it(office: Any, make: Any) -> None:
    with office.run() as run:
        make.stage(run, make.item())
        totals = [
            make.total("1010", "12100000", "600.00"),
            make.total("1010", "12100000", "600.00", basis="document", grade="aggregate"),
        ]
        assert {line.status for line in run.tie_out(totals, {})} == {"equal"}
        assert run.publish().grade == "ledger"


def test_doubled_totals_are_refused(office: Any, make: Any) -> None:
    with office.run() as run:
        make.stage(run, make.item())
        with pytest.raises(Rejected, match="account 12100000 of 1010 twice"):
            run.tie_out([make.total("1010", "12100000", "300"), make.total("1010", "12100000", "300")], {})


def test_the_comparison_is_kept_and_shown(office: Any, make: Any) -> None:
    totals = [
        make.total("1010", "12100000", "700.00"),
        make.total("1010", "12100000", "700.00", customer="A"),
    ]
    with office.run() as run:
        make.stage(run, make.item(customer="A"))
        shown = run.tie_out(totals, {})
        run.hold("difference", ["A lacks 100.00"])
    report = office.store.tie_outs(1, 1)
    assert report.rows == shown
    assert (report.run.number, report.run.explanation) == (1, ["A lacks 100.00"])
    assert office.store.tie_outs(1, 1, 1) == report
    assert office.store.tie_outs(1, 1, 2) is None
    assert office.store.tie_outs(2, 1) is None


def test_the_sweep_finds_what_changed_without_a_trace(office: Any, make: Any) -> None:
    def swept(number: str, **fields: Any) -> Swept:
        given = make.item(number, **fields)
        return Swept(**{name: getattr(given, name) for name in Swept.__struct_fields__})

    office.load(
        make.item("1"), make.item("2"), make.item("3"), make.item("4", cleared_on="2026-11-01"), make.item("5"),
        make.item("6", entity="1020"),
        make.item("7", dunning_level="1"),
    )  # fmt: skip
    with office.run(sweep=True) as run:
        make.stage(run, make.item("3", dunning_level="1"), slice_="changed")
        shown = [
            swept("1"),
            swept("2", due_on="2026-05-01"),
            swept("3", dunning_level="1"),
            swept("4"),
            swept("7", dunning_level="2"),
            swept("9"),
        ]
        make.stage(run, *shown, slice_="sweep/1010", stream="sweep")
        assert run.to_read_again() == [("1010", "2026", number) for number in ("2", "4", "5", "7", "9")]
        assert run.suspects == 1  # 5; of the entity of 6 the sweep shows nothing
