"""Waivers: what they cover, for how long, and that a difference which grows or hides is not published."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from receivables import waivers
from receivables.errors import Conflict
from receivables.tie_out import TieOut
from receivables.waivers import Place, Waiver, gaps, judged

PLACE = Place("1010", "12100000", "company", "EUR")
NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
SCOPE = {"tenant_id": 1, "connector_id": 1}


def line(erp: str, hub: str, customer: str | None = None, **fields: Any) -> TieOut:
    given: dict[str, Any] = {
        **PLACE._asdict(),
        "customer": customer,
        "as_of": date(2026, 11, 30),
        "grade": "ledger",
        "erp": Decimal(erp),
        "hub": Decimal(hub),
        "erp_items": None,
        "hub_items": 1,
        "status": "equal" if erp == hub else "different",
        "explanation": None,
    }
    return TieOut(**given | fields)


def rule(largest: str, **fields: Any) -> Waiver:
    given: dict[str, Any] = {
        **PLACE._asdict(),
        "waiver_id": 1,
        "connector": "acme-s4",
        "run": 1,
        "largest": Decimal(largest),
        "reason": "posted by hand, mended in December",
        "owner": "anna",
        "made_at": NOW,
        "until": NOW + timedelta(days=1),
        "ended_at": None,
        "ended_by": None,
    }
    return Waiver(**given | fields)


def test_a_rule_covers_up_to_its_amount_in_both_directions() -> None:
    for erp, hub, largest, status in (
        ("700.00", "600.00", "100.00", "waived"),
        ("600.00", "700.00", "100.00", "waived"),
        ("700.00", "600.00", "99.99", "different"),
        ("600.00", "600.00", "100.00", "equal"),
    ):
        (found,) = judged([line(erp, hub)], [rule(largest)])
        assert found.status == status
        told = found.explanation or ""
        assert (status == "waived") == told.startswith("Waived by anna up to 100.00 EUR until 2026-11-25")
    for elsewhere in (
        {"account": "13100000"}, {"entity": "1710"}, {"basis": "document"}, {"currency": "USD"},
    ):  # fmt: skip
        (found,) = judged([line("700.00", "600.00")], [rule("100.00", **elsewhere)])
        assert found.status == "different"


def test_errors_of_customers_that_cancel_are_not_covered_by_their_sum() -> None:
    lines = [line("600.00", "600.00"), line("500.00", "0.00", "1"), line("0.00", "500.00", "2")]
    assert gaps(lines) == {PLACE: Decimal("1000.00")}
    assert [found.status for found in judged(lines, [rule("999.99")])] == ["equal", "different", "different"]
    assert [found.status for found in judged(lines, [rule("1000.00")])] == ["equal", "waived", "waived"]


def test_what_one_customer_lacks_is_covered_once() -> None:
    lines = [line("700.00", "600.00"), line("100.00", "0.00", "1")]
    assert gaps(lines) == {PLACE: Decimal("100.00")}
    assert [found.status for found in judged(lines, [rule("100.00")])] == ["waived", "waived"]


def test_the_reason_of_a_line_stays_before_the_rule() -> None:
    (found,) = judged([line("0", "600.00", explanation="The ERP gives no total.")], [rule("600.00")])
    assert (found.explanation or "").startswith("The ERP gives no total. Waived by anna")


def different(office: Any, make: Any, closing: str, **wanted: Any) -> None:
    """A run whose only total is this, held unless it is published."""
    with office.run(**wanted) as run:
        make.stage(run, make.item("1"))
        run.tie_out([make.total("1010", "12100000", closing)], {})
        run.hold("difference", ["it differs"], message="held: the books differ")


def waive(office: Any, largest: str, *, run: int = 1, until: datetime | None = None) -> None:
    now = office.clock()
    made = {"run": run, "largest": Decimal(largest), "reason": "posted by hand", "owner": "anna", "now": now}
    with office.store.deciding(1) as cursor:
        waivers.add(cursor, SCOPE, PLACE, {**made, "until": until or now + timedelta(days=7)})


def tied_out(office: Any, make: Any, closing: str) -> list[str]:
    """The statuses of a further run of the same books, which is published if it may be."""
    with office.run() as run:
        make.stage(run, make.item("1"))
        lines = run.tie_out([make.total("1010", "12100000", closing)], {})
        if any(found.status == "different" for found in lines):
            with pytest.raises(Conflict, match="the books differ"):
                run.publish()
            run.hold("difference", [])
        else:
            run.publish()
    return [found.status for found in lines]


def test_a_waiver_publishes_the_held_run_and_applies_to_later_ones(office: Any, make: Any) -> None:
    different(office, make, "700.00")
    waive(office, "100.00")
    with office.store.take_held(1, 1, "acme-s4", "anna") as (run, _):
        lines = run.tie_out(run.kept_totals(), {})
        assert [found.status for found in lines] == ["waived"]
        assert run.publish(message="waived").number == 1
    (kept,) = office.store.tie_outs(1, 1, 1).rows
    assert (kept.status, kept.difference) == ("waived", Decimal("100.00"))
    assert "Waived by anna up to 100.00 EUR" in kept.explanation
    assert tied_out(office, make, "650.00") == ["waived"]
    assert tied_out(office, make, "700.01") == ["different"], "it grew"
    assert tied_out(office, make, "600.00") == ["equal"]
    (one,) = office.store.waivers(1, 1, "acme-s4")
    assert (one.run, one.owner, one.largest, one.ended_at) == (1, "anna", Decimal("100.00"), None)


def test_a_waiver_ends_by_itself_or_by_a_person_and_a_new_one_ends_the_old(office: Any, make: Any) -> None:
    different(office, make, "700.00")
    waive(office, "100.00", until=office.clock.now + timedelta(minutes=3))
    assert tied_out(office, make, "700.00") == ["waived"]
    office.clock.now += timedelta(minutes=3)
    assert tied_out(office, make, "700.00") == ["different"], "it ran out"
    waive(office, "100.00")
    waive(office, "150.00", run=2)
    new, old, oldest = office.store.waivers(1, 1, "acme-s4")
    assert (new.largest, new.ended_at, new.run) == (Decimal("150.00"), None, 2)
    assert (old.ended_by, oldest.ended_by) == ("anna", "anna")
    assert tied_out(office, make, "750.00") == ["waived"]
    with office.store.deciding(1) as cursor:
        assert waivers.end(cursor, new.waiver_id, "boris", office.clock())
        assert not waivers.end(cursor, new.waiver_id, "boris", office.clock())
    assert tied_out(office, make, "700.00") == ["different"]
    assert office.store.waivers(1, 1, "acme-s4")[0].ended_by == "boris"


def test_who_waived_what_cannot_be_changed(office: Any, make: Any) -> None:
    different(office, make, "700.00")
    waive(office, "100.00")
    for change in ("set owner = 'nobody'", "set largest = 1e9", "set reason = 'another reason'"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            office.sql(f"update receivables.waiver {change}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        office.sql("delete from receivables.waiver")
    assert office.store.waivers(2, 1, "acme-s4") == []
