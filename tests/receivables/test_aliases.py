"""Customers that are renumbered or merged: what they owe moves, and the number they had leads to the new one."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from receivables.as_of import View
from receivables.records import Customer, Deleted

ACCOUNT = ("1010", "12100000")
ALIASES = "select number, alias_of, since::text from receivables.customer_alias order by 1"


def customer(number: str, native_id: str | None, **fields: Any) -> Customer:
    return Customer(
        number=number,
        entity="1010",
        printed=number,
        name=f"Name of {native_id}",
        native_id=native_id,
        **fields,
    )


def owners(office: Any) -> set[tuple[str, str]]:
    return set(office.sql("select number, customer from receivables.open_item"))


def known(office: Any) -> set[str]:
    return {number for (number,) in office.sql("select number from receivables.customer")}


def later(
    office: Any, make: Any, staged: list[Any], by_key: list[Any], closing: str, *, day: int = 25
) -> list[str]:
    """A run that reads these, then what it asks for by key; the numbers of that."""
    with office.run(sweep=False, day=date(2026, 11, day)) as run:
        make.stage(run, *staged, slice_="delta")
        asked = [number for *_, number in run.to_read_again()]
        make.stage(run, *by_key, slice_="by-key")
        run.tie_out([make.total(*ACCOUNT, closing)], {})
        run.publish()
    return asked


def test_a_renumbered_customer_keeps_what_it_owes_under_the_new_number(office: Any, make: Any) -> None:
    office.clock.now = datetime(2026, 11, 24, 6, tzinfo=UTC)
    cleared = make.item("2", customer="A", cleared_on="2026-11-01", carries="rest")
    office.load(
        customer("A", "17"),
        customer("C", "18"),
        make.item("1", customer="A"),
        cleared,
        make.item("3", customer="C"),
    )
    office.clock.now = datetime(2026, 11, 25, 6, tzinfo=UTC)
    moved = [
        make.item("1", customer="B"),
        make.item("2", customer="B", cleared_on="2026-11-01", carries="rest"),
    ]

    assert later(office, make, [customer("B", "17")], moved, "1200.00") == ["1", "2"]

    assert owners(office) == {("1", "B"), ("2", "B"), ("3", "C")}
    assert known(office) == {"B", "C"}
    assert office.sql(ALIASES) == [("A", "B", "2026-11-25")]
    assert office.sql("select number from receivables.customer_history") == [("A",)]
    statement = office.store.statement(View(1, 1, "acme-s4", date(2026, 11, 25), ZoneInfo("UTC")), "A")
    assert [one.number for one in statement.customers] == ["B"]
    assert [one.number for one in statement.items] == ["1"]
    before = office.store.statement(View(1, 1, "acme-s4", date(2026, 11, 24), ZoneInfo("UTC")), "A")
    assert [one.number for one in before.customers] == ["A"]
    assert [one.number for one in before.items] == ["1"]


def test_a_merge_moves_what_is_owed_and_no_later_run_undoes_it(office: Any, make: Any) -> None:
    office.load(
        customer("A", "17"), customer("B", "18"), make.item("1", customer="A"), make.item("2", customer="B")
    )
    gone = Deleted("customer", "17", "Entry 5 says so.")
    moved = make.item("1", customer="B")
    assert later(office, make, [moved, gone], [moved], "1200.00") == ["1"]
    for _ in range(2):
        assert (owners(office), known(office)) == ({("1", "B"), ("2", "B")}, {"B"})
        assert office.sql(ALIASES) == [("A", "B", "2026-11-25")]
        assert later(office, make, [gone, customer("B", "18")], [], "1200.00", day=26) == []


def test_a_number_that_something_still_has_is_no_alias(office: Any, make: Any) -> None:
    office.load(
        customer("A", "17"), customer("B", "18"), make.item("1", customer="A"), make.item("2", customer="A")
    )
    moved = [make.item("1", customer="B"), Deleted("customer", "17", "Entry 5 says so.")]
    assert later(office, make, moved, [], "1200.00") == ["1", "2"]
    assert owners(office) == {("1", "B"), ("2", "A")}
    assert known(office) == {"A", "B"}
    assert office.sql(ALIASES) == []


def test_what_is_shared_out_among_several_customers_has_no_alias(office: Any, make: Any) -> None:
    office.load(
        customer("A", "17"),
        customer("B", "18"),
        customer("C", "19"),
        make.item("1", customer="A"),
        make.item("2", customer="A"),
    )
    moved = [
        make.item("1", customer="B"),
        make.item("2", customer="C"),
        Deleted("customer", "17", "Entry 5 says so."),
    ]
    later(office, make, moved, [], "1200.00")
    assert office.sql(ALIASES) == []
    assert known(office) == {"A", "B", "C"}


def test_a_number_that_is_changed_twice_leads_to_the_last(office: Any, make: Any) -> None:
    office.load(customer("A", "17"), make.item("1", customer="A"))
    for number in ("B", "C"):
        later(
            office,
            make,
            [customer(number, "17")],
            [make.item("1", customer=number)],
            "600.00",
        )
    assert office.sql(ALIASES) == [("A", "C", "2026-11-25"), ("B", "C", "2026-11-25")]
    assert known(office) == {"C"}


def test_a_number_that_is_changed_back_is_a_number_again(office: Any, make: Any) -> None:
    office.load(customer("A", "17"), make.item("1", customer="A"))
    for number in ("B", "A"):
        later(
            office,
            make,
            [customer(number, "17")],
            [make.item("1", customer=number)],
            "600.00",
        )
    assert known(office) == {"A"}
    assert office.sql(ALIASES) == [("B", "A", "2026-11-25")]


def test_customers_without_a_native_id_are_never_taken_for_one(office: Any, make: Any) -> None:
    office.load(customer("A", None), make.item("1", customer="A"))
    assert later(office, make, [customer("B", None)], [], "600.00") == []
    assert known(office) == {"A", "B"}
    assert office.sql(ALIASES) == []
