"""Runs that are held: published later through the same gate, discarded, superseded, or lost with a crash."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import psycopg
import pytest

from receivables.errors import Conflict, Misconfigured


def held(office: Any, make: Any, *records: Any, reason: str = "asked", closing: str | None = None) -> Any:
    """A run of these records that is held; `closing` is the ledger's total, by default what we have."""
    with office.run() as run:
        make.stage(run, *records, keys=[(b"1", b"row")], bookmark="b", reached="2026-11-24")
        totals = office.totals(run) if closing is None else [make.total("1010", "12100000", closing)]
        run.tie_out(totals, {})
        run.hold(reason, [reason], message=f"held: {reason}")
    return run


def taken(office: Any, by: str = "anna") -> Any:
    return office.store.take_held(1, 1, "acme-s4", by)


def test_a_held_run_is_published_with_the_totals_it_was_held_with(office: Any, make: Any) -> None:
    unchanged = make.item("3", account="13100000")
    office.load(make.item("1"), unchanged)
    held(office, make, make.item("1", text="changed"), make.item("2", original="5.00"), unchanged)
    with taken(office) as (run, why):
        assert (run.number, why.reason, why.settings_digest) == (2, "asked", "s")
        changes = run.changes()
        run.tie_out(run.kept_totals(), {})
        published = run.publish()
    assert [vars(one) for one in changes.rows] == [
        {"kind": "open_item", "added": 1, "changed": 1, "withdrawn": 0}
    ]
    assert [(b.account, b.currency, b.before, b.after) for b in changes.balances] == [
        ("12100000", "EUR", Decimal("600.00"), Decimal("605.00"))
    ]
    assert changes.sentences == [
        "open item: 1 added, 1 changed, 0 withdrawn.",
        "1010/12100000: 600.00 becomes 605.00 EUR (+5.00).",
    ]
    assert (published.number, published.grade, published.counts["open_item"]) == (2, "ledger", 3)
    (row, _) = office.store.runs(1, 1)
    assert (row.number, row.state, row.reason, row.decided_by) == (2, "published", None, "anna")
    assert office.sql("select value from receivables.bookmark where name = 'b'") == [("2026-11-24",)]
    assert office.sql("select count(*) from receivables.staged_run") == [(0,)]
    report = office.store.tie_outs(1, 1, 2)
    assert [(line.status, line.erp, line.hub) for line in report.rows] == [
        ("equal", Decimal("605.00"), Decimal("605.00")),
        ("equal", Decimal("600.00"), Decimal("600.00")),
    ]
    with pytest.raises(Misconfigured, match="no run is held"), taken(office):
        pass


def test_the_gate_is_the_same_for_a_held_run(office: Any, make: Any) -> None:
    held(office, make, make.item("1"), reason="difference", closing="601.00")
    for _ in range(2):
        with taken(office) as (run, why):
            assert why.reason == "difference"
            run.tie_out(run.kept_totals(), {})
            with pytest.raises(Conflict, match="run 1: the books differ"):
                run.publish()
    with taken(office) as (run, _):
        run.tie_out(run.kept_totals(), {"EUR": Decimal("1.00")})
        assert run.publish().number == 1
    report = office.store.tie_outs(1, 1)
    assert [(line.status, line.difference) for line in report.rows] == [("within", Decimal("1.00"))]


def test_a_rejected_row_keeps_a_held_run_from_being_published(office: Any, make: Any) -> None:
    with office.run() as run:
        make.stage(run, make.item("1"), rows=[b"1", b"2"], rejects=[make.reject()])
        run.tie_out([make.total("1010", "12100000", "600.00")], {})
        run.hold("reject", [])
    with taken(office) as (run, _):
        run.tie_out(run.kept_totals(), {})
        with pytest.raises(Conflict, match="rows were set aside"):
            run.publish()
    (row,) = office.store.rejects(1, 1, "acme-s4")
    assert (row.times, row.state) == (1, "open")


def test_a_reject_of_a_held_run_counts_once_however_it_ends(office: Any, make: Any) -> None:
    with office.run() as run:
        customers = [make.reject("customers", raw=b"bad name")]
        make.stage(run, make.item("1"), rows=[b"1", b"2"], stream="customers", rejects=customers)
        run.tie_out([make.total("1010", "12100000", "600.00")], {})
        run.hold("asked", [])
    with taken(office) as (run, _):
        run.tie_out(run.kept_totals(), {})
        run.publish()
    (row,) = office.store.rejects(1, 1, "acme-s4")
    assert (row.times, row.state, row.stream) == (1, "open", "customers")


def test_nobody_takes_a_held_run_while_another_runs(office: Any, make: Any) -> None:
    held(office, make, make.item("1"))
    with (
        taken(office),
        pytest.raises(Conflict, match="acme-s4 is running in another process"),
        office.run(),
    ):
        pass
    with office.run() as run:
        assert (run.number, run.opened.resumed) == (2, False)
        with pytest.raises(Conflict, match="acme-s4 is running since"), taken(office):
            pass
    with pytest.raises(Misconfigured, match="no run is held"), taken(office):
        pass
    assert [(r.number, r.state, r.message) for r in office.store.runs(1, 1)] == [
        (2, "reading", None),
        (1, "superseded", "held: asked"),
    ]


def test_a_held_run_is_discarded_with_a_name(office: Any, make: Any) -> None:
    office.load(make.item("1"))
    held(office, make, make.item("2"))
    with taken(office, "boris") as (run, _):
        run.discard("Discarded by boris.")
    (row, _) = office.store.runs(1, 1)
    assert (row.state, row.message, row.decided_by) == ("superseded", "Discarded by boris.", "boris")
    assert (row.reason, row.explanation) == ("asked", ["asked"])
    assert office.sql("select count(*) from receivables.staged_open_item") == [(0,)]
    assert office.sql("select number from receivables.open_item") == [("1",)]
    with office.run() as run:
        assert (run.number, run.mode) == (3, "delta")


def test_what_a_held_run_staged_may_be_lost(office: Any, make: Any) -> None:
    """A crash of the server empties all unlogged tables together (see test_runs): here they are emptied."""
    for through_sync in (False, True):
        number = held(office, make, make.item("1")).number
        unlogged = "select string_agg(oid::regclass::text, ', ') from pg_class where relpersistence = 'u'"
        ((tables,),) = office.sql(f"{unlogged} and relkind = 'r'")
        with psycopg.connect(office.url("encours_owner")) as connection:
            connection.execute(f"truncate {tables}")
        if through_sync:
            with office.run():
                pass
        else:
            lost = f"run {number}: what it had read was lost .* Read again: encours sync acme-s4"
            with pytest.raises(Conflict, match=lost), taken(office):
                pass
        (row,) = office.store.runs(1, 1, number=number)
        assert (row.state, row.message) == ("superseded", "What it had read was lost in a crash.")


def test_runs_that_are_asked_for_once_are_never_resumed(office: Any, make: Any) -> None:
    office.load(make.item("1"))
    for special in ("replay", "backfill"):
        with office.run(special=special) as run:
            assert (run.mode, run.opened.resumed, run.sweep) == (special, False, False)
            make.stage(run, make.item("2"))
        with office.run() as run:
            assert (run.mode, run.opened.resumed) == ("delta", False)
        with office.run(special=special) as run:
            assert (run.mode, run.opened.resumed) == (special, False)
    with office.run(special="replay", adapter_version="2") as run:
        assert run.mode == "snapshot"


def test_a_change_of_settings_is_told_from_a_new_version(office: Any, make: Any) -> None:
    with office.run() as run:
        assert not run.opened.settings_changed
    office.load(make.item())
    for change, told in (({}, False), ({"adapter_version": "2"}, False), ({"settings_digest": "t"}, True)):
        with office.run(**change) as run:
            assert run.opened.settings_changed is told


def test_runs_are_listed(office: Any, make: Any) -> None:
    office.load(make.item())
    held(office, make, make.item("2"))
    office.load(make.item("3"))
    assert [(r.number, r.state) for r in office.store.runs(1, 1)] == [
        (3, "published"), (2, "superseded"), (1, "published"),
    ]  # fmt: skip
    assert [r.number for r in office.store.runs(1, 1, state="published")] == [3, 1]
    assert [r.number for r in office.store.runs(1, 1, limit=1)] == [3]
    assert [r.number for r in office.store.runs(1, 1, number=2)] == [2]
    assert office.store.runs(2, 1) == []
