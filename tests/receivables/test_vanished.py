"""What the ERP does not show any more: suspects, and closings that need two proofs and the ledger."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from receivables.records import Deleted, Receipt, Swept

HOLDS = "the ledger still holds {}: blocked partner or missing authorisation"
ACCOUNT = ("1010", "12100000")


def swept(item: Any) -> Swept:
    """What a sweep shows of this item, or of this receipt."""
    if isinstance(item, Receipt):
        return Swept(
            item.number, item.entity, item.fiscal_year, item.line, item.account, item.customer, item.currency,
            f"-{item.amount}", f"-{item.company_amount}", None,
        )  # fmt: skip
    return Swept(**{name: getattr(item, name) for name in Swept.__struct_fields__})


def receipt(number: str, **fields: Any) -> Receipt:
    given: dict[str, Any] = {
        "entity": "1010", "fiscal_year": "", "line": "1", "account": "12100000", "customer": "10100001",
        "printed": f"WIRE-{number}", "currency": "EUR", "amount": "100.00", "unapplied": "100.00",
        "company_currency": "EUR", "company_amount": "100.00", "company_unapplied": "100.00",
        "booked_on": "2026-02-01", "value_on": None, "status": "received", "carries": "rest",
    }  # fmt: skip
    return Receipt(number=number, **given | fields)


def sweep(office: Any, make: Any, shown: list[Any], closing: str, **how: Any) -> Any:
    """A run that sweeps and sees these, by a ledger of this balance; published if that agrees, else held."""
    by_key, absent = how.pop("by_key", ()), how.pop("absent_is_deleted", False)
    parts, of_entity = how.pop("parts", {}), how.pop("entity", "1010")
    totals = [make.total(of_entity, "12100000", closing, **how)]
    totals += [make.total(of_entity, "12100000", part, customer=who, **how) for who, part in parts.items()]
    with office.run(sweep=True) as run:
        make.stage(run, *map(swept, shown), slice_="sweep/1010", stream="sweep")
        asked = run.to_read_again()
        make.stage(run, *by_key, *map(swept, by_key), slice_="by-key")
        lines = run.tie_out(totals, {}, absent_is_deleted=absent)
        if any(line.status == "different" for line in lines):
            run.hold("difference", [])
        else:
            run.publish()
    return run, [number for *_, number in asked]


def numbers(office: Any) -> set[str]:
    return {
        number
        for (number,) in office.sql("select number from receivables.open_item where cleared_on is null")
    }


def closings(office: Any) -> dict[str, tuple[str, str]]:
    found = {
        row.number: (row.first_proof, row.second_proof) for row in office.store.closings(1, 1, "acme-s4")
    }
    assert all(first != second for first, second in found.values())
    return found


def test_the_ledger_that_still_holds_a_line_keeps_it_open_and_says_so(office: Any, make: Any) -> None:
    items = [make.item(str(number)) for number in range(4)]
    office.load(*items)
    run, asked = sweep(office, make, items[:2], "2400.00", absent_is_deleted=True)
    assert asked == ["2", "3"]
    assert run.suspects == 2
    assert run.notes == [
        f"2 lines of customer 10100001 in 1010 are no longer shown and stay open: {HOLDS.format('them')}."
    ]
    assert numbers(office) == {"0", "1", "2", "3"}
    assert closings(office) == {}
    assert [(one.number, one.run) for one in office.store.suspects(1, 1, "acme-s4")] == [("2", 2), ("3", 2)]
    run, _ = sweep(office, make, items, "2400.00")
    assert (run.suspects, run.notes) == (0, [])
    assert office.store.suspects(1, 1, "acme-s4") == []


def test_a_read_by_key_that_finds_nothing_closes_what_the_ledger_does_not_hold(
    office: Any, make: Any
) -> None:
    items = [make.item(str(number)) for number in range(3)]
    office.load(*items, *(make.document(str(number)) for number in range(3)))
    run, _ = sweep(office, make, items[:2], "1200.00", absent_is_deleted=True)
    assert (run.suspects, run.notes) == (0, [])
    assert numbers(office) == {"0", "1"}
    assert closings(office) == {
        "2": (
            "The sweep of run 2 does not show it.",
            "A read by key does not find it, and the ledger agrees without it and differs with it.",
        )
    }
    (row,) = office.store.closings(1, 1, "acme-s4")
    assert (row.amount, row.currency, row.customer, row.run) == (Decimal("600.00"), "EUR", "10100001", 2)
    left = "select number from receivables.{} order by 1"
    assert office.sql(left.format("document")) == [("0",), ("1",)]
    assert (
        office.sql(left.format("document_history"))
        == office.sql(left.format("open_item_history"))
        == [("2",)]
    )


def test_where_nothing_is_ever_deleted_a_second_sweep_is_needed(office: Any, make: Any) -> None:
    items = [make.item(str(number)) for number in range(3)]
    office.load(*items)
    run, _ = sweep(office, make, items[:2], "1200.00")
    assert [line.status for line in office.store.tie_outs(1, 1).rows] == ["different"]
    assert "the next sweep closes it if it does not show it" in run.notes[0]
    assert (numbers(office), closings(office)) == ({"0", "1", "2"}, {})
    sweep(office, make, items[:2], "1200.00")
    assert numbers(office) == {"0", "1"}
    assert closings(office) == {
        "2": (
            "The sweep of run 3 does not show it.",
            "The sweep of run 2 did not show it either, and the ledger agrees without it and differs with it.",
        )
    }


def test_a_line_that_is_shown_in_between_is_not_suspect_from_before(office: Any, make: Any) -> None:
    items = [make.item(str(number)) for number in range(3)]
    office.load(*items)
    for shown in (items[:2], items, items[:2]):
        sweep(office, make, shown, "1200.00")
        assert (numbers(office), closings(office)) == ({"0", "1", "2"}, {})


@pytest.mark.parametrize("shown", [0, 1])
def test_an_empty_or_shrunken_sweep_closes_nothing(office: Any, make: Any, shown: int) -> None:
    items = [make.item(str(number)) for number in range(3)]
    office.load(*items)
    for _ in range(2):
        run, asked = sweep(office, make, items[:shown], f"{600 * shown}.00", absent_is_deleted=True)
        assert (asked, run.suspects) == ([], 0)
        assert run.notes == [
            f"The sweep shows {shown} of 3 open lines of 1010: too few to tell what is gone, so it closes nothing."
        ]
        assert (numbers(office), closings(office)) == ({"0", "1", "2"}, {})
        assert office.store.suspects(1, 1, "acme-s4") == []


def test_a_read_by_key_that_shows_it_open_or_cleared_is_believed(office: Any, make: Any) -> None:
    items = [make.item(str(number)) for number in range(4)]
    office.load(*items)
    found = [items[2], make.item("3", cleared_on="2026-11-20")]
    run, _ = sweep(office, make, items[:2], "1800.00", by_key=found, absent_is_deleted=True)
    assert run.suspects == 0
    assert numbers(office) == {"0", "1", "2"}
    assert closings(office) == {
        "3": ("The sweep of run 2 does not show it.", "A read by key shows it cleared on 2026-11-20.")
    }
    kept = office.sql("select count(*) from receivables.open_item")
    assert kept == [(4,)], "cleared, and not taken away"


def test_sums_of_the_same_rows_prove_nothing(office: Any, make: Any) -> None:
    items = [make.item(str(number)) for number in range(3)]
    office.load(*items)
    run, _ = sweep(office, make, items[:2], "1200.00", grade="aggregate", absent_is_deleted=True)
    assert "no ledger tells whether that is still owed" in run.notes[0]
    assert (numbers(office), closings(office)) == ({"0", "1", "2"}, {})


def test_a_ledger_that_agrees_neither_way_closes_nothing(office: Any, make: Any) -> None:
    items = [make.item(str(number)) for number in range(3)]
    office.load(*items)
    run, _ = sweep(office, make, items[:2], "1250.00", absent_is_deleted=True)
    assert "the ledger agrees neither with it nor without" in run.notes[0]
    assert (numbers(office), closings(office)) == ({"0", "1", "2"}, {})


def test_a_ledger_by_customer_tells_a_blocked_one_from_a_deletion(office: Any, make: Any) -> None:
    kept = [make.item("1", customer="A"), make.item("2", customer="B"), make.item("3", customer="C")]
    gone, blocked = make.item("4", customer="A"), make.item("5", customer="B")
    office.load(*kept, gone, blocked)
    run, _ = sweep(
        office,
        make,
        kept,
        "2400.00",
        parts={"A": "600.00", "B": "1200.00", "C": "600.00"},
        absent_is_deleted=True,
    )
    assert run.notes == [
        f"1 line of customer B in 1010 is no longer shown and stays open: {HOLDS.format('it')}."
    ]
    assert set(closings(office)) == {"4"}
    assert numbers(office) == {"1", "2", "3", "5"}


def test_a_record_of_deletion_and_a_read_by_key_close_in_any_run(office: Any, make: Any) -> None:
    office.load(make.item("1"), make.item("2"), make.document("1"), make.document("2"), receipt("9"))
    records = [
        Deleted("document", "2", "Entry 17 says that it was deleted."),
        Deleted("receipt", "9", "Entry 18 says that it was deleted."),
        Deleted("receipt", "1", "Entry 19 is of a receipt, and 1 is none."),
    ]
    with office.run(sweep=False) as run:
        make.stage(run, *records, slice_="deletions", stream="deletions")
        assert {number for *_, number in run.to_read_again()} == {"2", "9"}
        make.stage(run, slice_="by-key")
        run.tie_out([make.total(*ACCOUNT, "600.00")], {})
        assert run.publish().counts == {
            "open_item": 1,
            "document": 1,
            "receipt": 0,
            **dict.fromkeys(
                ("legal_entity", "control_account", "allocation", "billing_document", "document_tax"), 0
            ),
            "customer": 1,
        }
    absent = "A read by key does not find it."
    assert closings(office) == {
        "2": ("Entry 17 says that it was deleted.", absent),
        "9": ("Entry 18 says that it was deleted.", absent),
    }
    assert [row.amount for row in office.store.closings(1, 1, "acme-s4")] == [
        Decimal("600.00"),
        Decimal("-100.00"),
    ]


def test_a_record_of_deletion_alone_closes_nothing(office: Any, make: Any) -> None:
    item = make.item("1")
    office.load(item)
    with office.run(sweep=False) as run:
        make.stage(run, Deleted("document", "1", "Entry 17 says so."), slice_="deletions", stream="deletions")
        assert run.to_read_again() == [("1010", "2026", "1")]
        make.stage(run, item, swept(item), slice_="by-key")
        run.tie_out([make.total(*ACCOUNT, "600.00")], {})
        run.publish()
    assert (numbers(office), closings(office)) == ({"1"}, {})


def test_what_was_read_and_deleted_in_one_run_is_not_published(office: Any, make: Any) -> None:
    office.load(make.item("1"), make.document("1"))
    with office.run(sweep=False) as run:
        make.stage(run, make.item("2"), make.document("2"), make.item("1", original="700.00"), slice_="delta")
        gone = [Deleted("document", number, f"Entry {number} says so.") for number in "12"]
        make.stage(run, *gone, slice_="deletions", stream="deletions")
        run.to_read_again()
        make.stage(run, slice_="by-key")
        run.tie_out([make.total(*ACCOUNT, "0.00")], {})
        assert run.publish().counts["document"] == 0
    assert office.sql("select count(*) from receivables.open_item") == [(0,)]
    assert office.sql("select original from receivables.open_item_history") == [(Decimal("600.00"),)]


def test_a_part_payment_that_is_still_shown_keeps_its_item(office: Any, make: Any) -> None:
    payment = receipt("9", fiscal_year="2026", carries="whole", related="3/2026/1")
    items = [make.item(str(number)) for number in range(1, 4)]
    office.load(*items, payment)
    for _ in range(2):
        run, _ = sweep(office, make, [*items[:2], payment], "1100.00")
        assert "payments that are still shown stand against it" in run.notes[0]
        assert numbers(office) == {"1", "2", "3"}


def test_a_held_run_closes_nothing_yet(office: Any, make: Any) -> None:
    items = [make.item("1"), make.item("2"), make.item("3", account="12200000")]
    office.load(*items)
    totals = [make.total(*ACCOUNT, "600.00"), make.total("1010", "12200000", "1.00")]
    with office.run(sweep=True) as run:
        make.stage(run, swept(items[0]), swept(items[2]), slice_="sweep/1010", stream="sweep")
        run.to_read_again()
        make.stage(run, slice_="by-key")
        run.tie_out(totals, {}, absent_is_deleted=True)
        run.hold("difference", [])
    assert (numbers(office), closings(office)) == ({"1", "2", "3"}, {})
    assert [one.number for one in office.store.suspects(1, 1, "acme-s4")] == ["2"]


def test_a_run_that_is_resumed_after_it_compared_closes_the_same(office: Any, make: Any) -> None:
    items = [make.item(str(number)) for number in range(3)]
    office.load(*items)
    totals = [make.total(*ACCOUNT, "1200.00")]
    with office.run(sweep=True) as run:
        make.stage(run, *map(swept, items[:2]), slice_="sweep/1010", stream="sweep")
        run.to_read_again()
        run.tie_out(totals, {}, absent_is_deleted=True)
    with office.run(sweep=True) as run:
        assert run.opened.resumed
        assert run.to_read_again() == [("1010", "2026", "2")]
        run.tie_out(totals, {}, absent_is_deleted=True)
        run.publish()
    assert numbers(office) == {"0", "1"}
    assert set(closings(office)) == {"2"}
