"""Rejects: open, waived while the row and its fault stay the same, replayed once the row is read well."""

from __future__ import annotations

from typing import Any

import pytest

from receivables.errors import Conflict, Misconfigured, Rejected
from receivables.records import Customer
from receivables.rejects import still, waive

KEY = "1010/2026/12/1"


def set_aside(office: Any, make: Any, *rejects: Any) -> str:
    """A run with a good row and these, which is published if it may be; its state."""
    with office.run() as run:
        rows = [b"1", *(reject.raw for reject in rejects)]
        make.stage(run, make.item("1"), rows=rows, rejects=rejects)
        run.tie_out([make.total("1010", "12100000", "600.00")], {})
        if run.holding_rejects():
            with pytest.raises(Conflict, match="rows were set aside"):
                run.publish()
            run.hold("reject", [])
        else:
            run.publish()
    return str(office.store.runs(1, 1)[0].state)


def rejects(office: Any, state: str | None = None) -> list[tuple[str, str, int]]:
    return [(r.field, r.state, r.times) for r in office.store.rejects(1, 1, "acme-s4", state=state)]


def waived(office: Any, by: str = "anna") -> None:
    (row,) = office.store.rejects(1, 1, "acme-s4")
    with office.store.deciding(1) as cursor:
        waive(cursor, row, by, "a test posting", office.clock())


def test_a_waived_reject_does_not_hold_while_the_row_is_unchanged(office: Any, make: Any) -> None:
    assert set_aside(office, make, make.reject()) == "held"
    waived(office)
    assert set_aside(office, make, make.reject()) == "published"
    (row,) = office.store.rejects(1, 1, "acme-s4", state="waived")
    assert (row.waived_by, row.waived_because, row.times) == ("anna", "a test posting", 2)
    assert row.waived_at is not None
    assert office.store.status(1, 1).rejects == 0
    assert set_aside(office, make, make.reject(), make.reject(raw=b"changed")) == "held"
    assert rejects(office) == [("NetDueDate", "open", 1), ("NetDueDate", "waived", 3)]
    assert set_aside(office, make, make.reject(field="Amount")) == "held", "another fault of the same row"
    with office.store.deciding(1) as cursor, pytest.raises(Misconfigured, match="is not open any more"):
        waive(cursor, row, "boris", "once more", office.clock())


def test_a_waived_reject_is_replayed_when_its_row_is_read_well(office: Any, make: Any) -> None:
    set_aside(office, make, make.reject())
    waived(office)
    with office.run() as run:
        make.stage(run, make.item("1"), rows=[b"1", b"2"], rejects=[make.reject()], faulty=[KEY.encode()])
        run.tie_out([make.total("1010", "12100000", "600.00")], {})
        run.publish()
    assert rejects(office) == [("NetDueDate", "waived", 2)]
    with office.run() as run:
        make.stage(run, make.item("12"), keys=[(KEY.encode(), b"mended")])
        run.tie_out([make.total("1010", "12100000", "1200.00")], {})
        run.publish()
    (row,) = office.store.rejects(1, 1, "acme-s4", state=None)
    assert (row.state, row.waived_by) == ("replayed", "anna")


def test_a_page_of_nothing_but_waived_rejects_stops_nothing(office: Any, make: Any) -> None:
    set_aside(office, make, make.reject())
    waived(office)
    with office.run() as run:
        make.stage(run, rows=[make.reject().raw], rejects=[make.reject()], slice_="a")
        with pytest.raises(Rejected, match="no row of page"):
            make.stage(run, rows=[b"x"], rejects=[make.reject(raw=b"x")], slice_="b")
        run.fail("stopped")


def test_a_replayed_row_without_a_key_is_closed_by_its_id(office: Any, make: Any) -> None:
    bad = make.reject("customers", raw=b"no key", key=None, adapter="customers")
    customer = Customer(number="1", entity="1010", printed="1", name=None)
    with office.run() as run:
        make.stage(run, customer, rows=[b"1", b"2"], slice_="c", stream="customers", rejects=[bad])
        run.tie_out([], {})
        run.publish(unproven=True)
    (row,) = office.store.rejects(1, 1, "acme-s4")
    assert row.adapter == "customers"
    with office.run(special="replay") as run:
        make.stage(run, customer, slice_="replay/customers/customers", stream="customers")
        run.replayed = [row.reject_id]
        run.tie_out([], {})
        run.publish(unproven=True)
    assert rejects(office) == [("NetDueDate", "replayed", 1)]


def test_a_row_that_cannot_be_read_still_has_its_reason_of_today(office: Any, make: Any) -> None:
    first, second = make.reject(), make.reject(field="Amount", code="no_number", message="x is no number.")
    set_aside(office, make, first)
    (row,) = office.store.rejects(1, 1, "acme-s4")
    with office.store.deciding(1) as cursor:
        still(cursor, row, second, office.clock())
    (now,) = office.store.rejects(1, 1, "acme-s4", reject_id=row.reject_id)
    assert (now.field, now.code, now.message, now.times) == ("Amount", "no_number", "x is no number.", 2)
    assert now.last_seen > row.last_seen
    set_aside(office, make, first)
    with office.store.deciding(1) as cursor:
        still(cursor, now, first, office.clock())
    assert sorted(rejects(office)) == [("Amount", "open", 3), ("NetDueDate", "open", 1)]
