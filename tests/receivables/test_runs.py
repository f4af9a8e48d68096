"""Runs: one at a time, resumed from what is staged, superseded, and gone with a crash of the server."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest

from encours.migrations import upgrade
from encours.postgres import Postgres
from receivables.errors import Conflict, RateLimited, Rejected
from receivables.records import Customer


def test_a_connector_runs_once_at_a_time(office: Any) -> None:
    with office.run() as run:
        with pytest.raises(Conflict, match=r"acme-s4 is running since 2026-11-24 06:00 UTC\."), office.run():
            pass
        with office.run(connector_id=2, connector="other") as other:
            assert (run.number, other.number) == (1, 1)
    with office.run() as again:
        assert again.opened.resumed


def test_the_places_at_an_erp_are_shared(office: Any) -> None:
    with office.run(connector_id=1), office.run(connector_id=2):
        with (
            pytest.raises(RateLimited, match=r"all 2 places at sap\.example are taken") as caught,
            office.run(connector_id=3, wait=0.3),
        ):
            pass
        assert caught.value.retry_after == 0.3
        with office.run(connector_id=3, erp="another.example"):
            pass
    with office.run(connector_id=3) as run:
        assert run.number == 1


def test_a_run_is_resumed_from_what_is_staged(office: Any, make: Any) -> None:
    with office.run() as run:
        make.stage(run, make.item("1"), slice_="a")
        make.stage(run, make.item("2", text="read again"), slice_="b", number=0, last=False)
        make.stage(
            run, make.item("3"), slice_="b", number=1, last=False, rejects=[make.reject()], rows=[b"1", b"2"]
        )
        run.totals_before([make.total("1010", "12100000", "1.00", items=3)])
    with office.run() as run:
        assert run.opened.resumed
        assert [name for name in ("a", "b") if name in run.done_slices] == ["a"]
        assert run.totals_before([]) == [make.total("1010", "12100000", "1.00", items=3)]
        assert run.holding_rejects() == []
        make.stage(run, make.item("2"), slice_="b", number=0)
        run.tie_out([make.total("1010", "12100000", "1200.00")], {})
        run.publish()
    assert office.sql("select number, text from receivables.open_item order by 1") == [
        ("1", None),
        ("2", None),
    ]
    assert office.sql("select number, state, pages, rows_read from receivables.run") == [
        (1, "published", 2, 2)
    ]


@pytest.mark.parametrize("change", [{"adapter_version": "2"}, {"settings_digest": "t"}])
def test_another_meaning_reads_everything_again(office: Any, make: Any, change: dict[str, str]) -> None:
    office.load(make.item())
    with office.run() as run:
        assert run.mode == "delta"
    with office.run(**change) as run:
        assert (run.number, run.mode, dict(run.bookmarks), run.opened.resumed) == (3, "snapshot", {}, False)
    assert office.sql("select number, state from receivables.run order by 1") == [
        (1, "published"), (2, "superseded"), (3, "reading"),
    ]  # fmt: skip


def test_the_first_run_of_the_day_sweeps(office: Any, make: Any) -> None:
    tomorrow = date(2026, 11, 25)
    office.load(make.item())
    for day, held, mode in (
        (date(2026, 11, 24), False, "delta"),
        (tomorrow, True, "sweep"),
        (tomorrow, False, "sweep"),
        (tomorrow, False, "delta"),
    ):
        with office.run(day=day) as run:
            assert (run.mode, run.sweep) == (mode, mode == "sweep")
            make.stage(run)
            run.tie_out([make.total("1010", "12100000", "601.00" if held else "600.00")], {})
            if held:
                run.hold("difference", [])
            else:
                run.publish()
    with office.run(day=tomorrow, sweep=True) as run:
        assert run.sweep
    with office.run(day=tomorrow, sweep=False) as run:
        assert (run.sweep, run.opened.resumed) == (False, False)


def test_a_page_of_nothing_but_rejects_stops_the_run(office: Any, make: Any) -> None:
    with office.run() as run:
        with pytest.raises(
            Rejected, match=r"acme-s4, open_items/1010/2026-01: no row of page 0 .*NetDueDate"
        ) as caught:
            make.stage(
                run, rows=[b"1", b"2"], rejects=[make.reject(raw=b"1"), make.reject(raw=b"2")], last=False
            )
        run.fail(str(caught.value))
    assert {row.raw for row in office.store.rejects(1, 1, "acme-s4")} == {b"1", b"2"}
    assert office.store.status(1, 1).run.state == "failed"


def test_rejects_of_items_hold_and_close_when_the_row_is_read_well(office: Any, make: Any) -> None:
    for times in (1, 2):
        with office.run() as run:
            make.stage(run, make.item("1"), rows=[b"1", b"2"], rejects=[make.reject()])
            run.tie_out([make.total("1010", "12100000", "600.00")], {})
            with pytest.raises(Conflict, match="rows were set aside"):
                run.publish()
            assert [(r.stream, r.key, r.field) for r in run.holding_rejects()] == [
                ("open_items", "1010/2026/12/1", "NetDueDate")
            ]
            run.hold("reject", ["1010/2026/12/1: 30 February is no day."])
        (shown,) = office.store.rejects(1, 1, "acme-s4")
        assert (shown.connector, shown.times, shown.raw) == (
            "acme-s4",
            times,
            b'{"NetDueDate":"30 February"}',
        )
        assert (shown.first_seen < shown.last_seen) == (times > 1)
    office.load(make.item("1"), make.item("12"))
    assert office.store.rejects(1, 1, "acme-s4") == []
    assert office.sql("select state, times from receivables.reject") == [("replayed", 2)]
    with office.run() as run:
        make.stage(run, make.item("1"), rows=[b"1", b"2"], rejects=[make.reject()])
        run.fail("the row is back")
    assert office.sql("select state, times from receivables.reject") == [("open", 3)]


def test_rejects_of_customers_stay_open_until_their_row_is_read_well(office: Any, make: Any) -> None:
    customer = Customer(number="1", entity="1010", printed="1", name=None)
    bad = make.reject("customers", raw=b"bad name", field="CustomerName", key="1")
    with office.run() as run:
        make.stage(run, customer, slice_="customers", stream="customers", rejects=[bad])
        run.tie_out([], {})
        run.publish(unproven=True)
    office.load(make.item())
    assert office.store.status(1, 1).rejects == 1
    with office.run() as run:
        make.stage(run, customer, slice_="customers", stream="customers", keys=[(b"1", b"good name")])
        run.tie_out([make.total("1010", "12100000", "600.00")], {})
        run.publish()
    assert office.store.status(1, 1).rejects == 0


def test_a_run_that_is_over_cannot_end_again(office: Any, make: Any) -> None:
    with office.run() as run:
        make.stage(run, make.item())
        run.moving()
        with pytest.raises(Conflict, match="run 1 is over already"):
            run.fail("too late")
    assert office.store.status(1, 1).run.state == "moving"
    assert office.sql("select count(*) from receivables.staged_open_item") == [(0,)]


def test_what_a_killed_run_left_behind_is_deleted(office: Any, make: Any) -> None:
    with office.run() as run:
        make.stage(run, make.item())
    office.sql(
        "update receivables.run set state = 'failed', ended_at = now()"
    )  # ended, and killed before deleting
    with office.run() as run:
        assert (run.number, run.opened.resumed) == (2, False)
    assert office.sql("select count(*) from receivables.staged_open_item") == [(0,)]


@pytest.fixture
def own_server() -> Iterator[Postgres]:
    """A server that the test may crash."""
    folder = Path(tempfile.mkdtemp(prefix="encours-", dir="/tmp"))
    folder.chmod(0o711)
    programs = os.environ.get("ENCOURS_TEST_PG_BIN")
    with Postgres(folder / "home", programs=Path(programs) if programs else None) as server:
        upgrade(server.url("encours_owner", "encours"))
        yield server
    shutil.rmtree(folder)


def test_a_held_run_that_vanished_with_a_crash_is_superseded(
    own_server: Postgres, office: Any, make: Any
) -> None:
    office.url = lambda role: own_server.url(role, "encours")
    with pytest.raises(psycopg.OperationalError), office.run() as run:  # noqa: PT012 - the crash is the subject
        make.stage(run, make.item())
        run.tie_out([make.total("1010", "12100000", "601.00")], {})
        run.hold("difference", ["it differs"], message="held: the books differ")
        ((backend,),) = run._connection.execute("select pg_backend_pid()").fetchall()  # noqa: SLF001
        os.kill(backend, signal.SIGKILL)
        run.accounts()
    own_server.stop()
    own_server.start()
    assert office.store.status(1, 1).run.state == "held"
    lost = "run 1: what it had read was lost when the database crashed"
    with pytest.raises(Conflict, match=lost), office.store.take_held(1, 1, "acme-s4", "anna"):
        pass
    (row,) = office.store.runs(1, 1)
    assert (row.state, row.message) == ("superseded", "What it had read was lost in a crash.")
    assert (row.reason, row.explanation) == ("difference", ["it differs"])
    office.load(make.item())


def test_staging_that_vanished_with_a_crash_is_noticed(own_server: Postgres, office: Any, make: Any) -> None:
    office.url = lambda role: own_server.url(role, "encours")
    office.load(make.item())
    with pytest.raises(psycopg.OperationalError), office.run() as run:  # noqa: PT012 - the crash is the subject
        make.stage(run, make.item("2"))
        ((backend,),) = run._connection.execute("select pg_backend_pid()").fetchall()  # noqa: SLF001
        os.kill(backend, signal.SIGKILL)
        make.stage(run, make.item("3"), number=1, slice_="next")
    own_server.stop()
    own_server.start()
    with office.run() as run:
        assert (run.number, run.opened.resumed) == (3, False)
        make.stage(run, make.item("2", original="1.00"))
        run.tie_out([make.total("1010", "12100000", "601.00")], {})
        assert run.publish().number == 2
    assert office.sql("select number, state, message from receivables.run where number = 2") == [
        (2, "superseded", "What it had read was lost in a crash.")
    ]
    assert office.sql("select number, original::text from receivables.open_item order by 1") == [
        ("1800000012", "600.00"), ("2", "1.00"),
    ]  # fmt: skip
