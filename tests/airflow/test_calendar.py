"""Schedules across both changes of the clock, one catch-up run after an outage, blackouts, missed deadlines."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pendulum
import pytest
from airflow.sdk.exceptions import AirflowSkipException
from airflow.timetables.base import DataInterval, TimeRestriction
from airflow.timetables.trigger import CronTriggerTimetable

from encours.airflow.task import books as asset
from encours.airflow.task import late, sync
from receivables.errors import Misconfigured
from tests.airflow.conftest import registry

if TYPE_CHECKING:
    from encours.registry import Registry
    from tests.conftest import Database

KEY = "acme-s4"
CHANGES = {  # days on which the zone's clocks are put back, and forward
    "Europe/Paris": ("2026-10-25", "2026-03-29"),
    "America/New_York": ("2026-11-01", "2026-03-08"),
    "America/Los_Angeles": ("2026-11-01", "2026-03-08"),
    "Australia/Lord_Howe": ("2026-04-05", "2026-10-04"),
    "Asia/Tokyo": ("2026-10-25", "2026-03-29"),
}
DAYS = 5


def runs(schedule: str, zone: str, first: datetime, last: datetime) -> list[datetime]:
    """The moments at which Airflow begins runs of this schedule, as it asks its timetable for them."""
    table, found = CronTriggerTimetable(schedule, timezone=zone), list[datetime]()
    before: DataInterval | None = None
    restriction = TimeRestriction(earliest=pendulum.instance(first), latest=None, catchup=True)
    while info := table.next_dagrun_info(last_automated_data_interval=before, restriction=restriction):
        if info.run_after > last:
            break
        found.append(info.run_after.astimezone(ZoneInfo(zone)))
        before = info.data_interval
    return found


@pytest.mark.parametrize("change", [0, 1], ids=["back", "forward"])
@pytest.mark.parametrize("zone", CHANGES)
def test_every_day_has_its_run_when_the_clocks_change(zone: str, change: int) -> None:
    noon = datetime.fromisoformat(f"{CHANGES[zone][change]}T12:00").replace(tzinfo=ZoneInfo(zone))
    first, last = noon - timedelta(days=DAYS // 2, hours=12), noon + timedelta(days=DAYS // 2, hours=11)
    for schedule in ("17 6 * * *", "30 1 * * *", "30 2 * * *"):
        days = Counter(run.date() for run in runs(schedule, zone, first, last))
        assert len(days) == DAYS, schedule
        assert set(days.values()) <= {1, 2}, f"{schedule}: an hour that comes twice may have two runs"
    hourly = [run.astimezone(UTC) for run in runs("17 * * * *", zone, first, last)]
    gaps = {after - before for before, after in pairwise(hourly)}
    assert max(gaps) <= timedelta(hours=1, minutes=30), "no hour is left out"


def test_after_an_outage_one_run_catches_up() -> None:
    table, now = CronTriggerTimetable("17 * * * *", timezone="Europe/Paris"), datetime.now(UTC)
    ended = pendulum.instance(now - timedelta(days=2))
    restriction = TimeRestriction(earliest=ended.subtract(days=30), latest=None, catchup=False)
    last = DataInterval.exact(ended)
    caught_up = table.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)
    assert caught_up is not None
    following = table.next_dagrun_info(
        last_automated_data_interval=caught_up.data_interval, restriction=restriction
    )
    assert following is not None
    assert now - timedelta(hours=1) <= caught_up.run_after <= now + timedelta(minutes=1)
    assert following.run_after > now


@pytest.fixture
def known(books: Database, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The registry, which tasks of this process read as well."""
    for name, value in environment.items():
        if name.startswith("ENCOURS_"):
            monkeypatch.setenv(name, value)
    return registry(books.url("encours_app"))


@pytest.mark.parametrize("zone", CHANGES)
def test_a_blackout_is_read_in_the_tenants_zone(zone: str, known: Registry) -> None:
    tenant = known.add_tenant(f"of-{zone.rpartition('/')[2].lower().replace('_', '-')}", zone, zone)
    acme = known.connector(KEY)
    connector = type(acme)(**{**vars(acme), "zone": tenant.zone, "blackout": "* 18-23 L,1 * *"})
    for change in CHANGES[zone]:
        month = datetime.fromisoformat(f"{change[:7]}-01T00:00").replace(tzinfo=ZoneInfo(zone))
        last = (month + timedelta(days=32)).replace(day=1) - timedelta(days=1)
        for day, resting in ((month, True), (last, True), (month + timedelta(days=4), False)):
            assert connector.rests(day.replace(hour=18).astimezone(UTC)) is resting
            assert connector.rests(day.replace(hour=23, minute=59).astimezone(UTC)) is resting
            assert not connector.rests(day.replace(hour=17, minute=59).astimezone(UTC))
        begun = connector.next_run(last.replace(hour=17, minute=30))
        assert begun is not None
        assert begun.hour == 6


def test_a_scheduled_run_in_a_blackout_is_skipped_and_one_by_hand_is_not(known: Registry) -> None:
    known.change(known.connector(KEY), blackout="* * * * *")
    assert known.connector(KEY).next_run(datetime.now(UTC)) is None
    try:
        with pytest.raises(AirflowSkipException, match=r"acme-s4: in its blackout, \* \* \* \* \*"):
            sync(KEY, outlet_events={}, dag_run=SimpleNamespace(run_type="scheduled"))
        with pytest.raises(Misconfigured, match="acme-s4: base_url"):
            sync(KEY, outlet_events={asset(KEY): None}, dag_run=SimpleNamespace(run_type="manual"))
    finally:
        known.change(known.connector(KEY), blackout=None)


def test_a_blackout_that_is_no_cron_line_is_refused(known: Registry) -> None:
    with pytest.raises(Misconfigured, match="'month-end' is no cron schedule of five fields"):
        known.change(known.connector(KEY), blackout="month-end")


def test_a_missed_deadline_is_said_unless_a_run_has_made_it(known: Registry) -> None:
    connector = known.connector(KEY)
    assert late("nippon-s4") is None, "it is paused"
    assert late("gone") is None
    assert late(connector.key) == "acme-s4 is not tied out in time. No run has ended yet."
