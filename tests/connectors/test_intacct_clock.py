"""Moments without an offset, around both changes of the clock: a delta asks for all that was changed since."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from connectors.systems.sage_intacct.days import earliest, latest, printed

STEP, SPAN = timedelta(minutes=5), timedelta(hours=6)
CHANGES = {  # the moment at which the zone's clocks are put back, and forward
    "Europe/Paris": ("2026-10-25T01:00", "2026-03-29T01:00"),
    "America/New_York": ("2026-11-01T06:00", "2026-03-08T07:00"),
    "America/Los_Angeles": ("2026-11-01T09:00", "2026-03-08T10:00"),
    "Australia/Lord_Howe": ("2026-04-04T15:00", "2026-10-03T15:30"),
    "Asia/Tokyo": ("2026-10-25T01:00", "2026-03-29T01:00"),
}


@pytest.mark.parametrize("change", [0, 1], ids=["back", "forward"])
@pytest.mark.parametrize("zone", CHANGES)
def test_no_moment_is_left_out_around_a_change_of_the_clock(zone: str, change: int) -> None:
    of = ZoneInfo(zone)
    begin = datetime.fromisoformat(CHANGES[zone][change]).replace(tzinfo=UTC) - SPAN
    moments = [begin + number * STEP for number in range(2 * SPAN // STEP)]
    shown = [printed(moment.astimezone(of)) for moment in moments]
    for place, moment in enumerate(moments):
        assert printed(earliest(moment, of)) <= min(shown[place:])
        assert printed(latest(moment, of)) >= max(shown[: place + 1])


@pytest.mark.parametrize("zone", CHANGES)
def test_on_other_days_nothing_is_asked_for_twice(zone: str) -> None:
    of, moment = ZoneInfo(zone), datetime(2026, 7, 1, 12, 30, tzinfo=UTC)
    assert earliest(moment, of) == latest(moment, of) == moment
