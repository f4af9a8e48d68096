"""The case of the clocks: in zones around the world, on days on which clocks are put back and forward.

What is posted there is read at a moment of which Greenwich has another day.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from connectors.kit.testing.bench import Bench
from connectors.kit.testing.comparison import agree
from connectors.kit.testing.ports import Connector

ZONES: Final = (
    "America/Los_Angeles",
    "America/New_York",
    "Asia/Tokyo",
    "Australia/Lord_Howe",
    "Europe/Paris",
)
YEAR: Final = 2026
WITHOUT: Final = (date(YEAR, 3, 29), date(YEAR, 10, 25))  # days for a zone whose clocks do not change
DAY: Final = timedelta(days=1)
KINDS: Final = ("open_item", "receipt", "allocation", "document", "customer")


def clock_changes(bench: Bench) -> None:
    """In five zones no row is lost and none read as changed without a change when their clocks change."""
    for zone in map(ZoneInfo, ZONES):
        _in_zone(bench, zone)


def _in_zone(bench: Bench, zone: ZoneInfo) -> None:
    changes = _changes(zone)
    first = changes[0] - 2 * DAY
    erp = bench.setup.erp(bench.system.name, first)
    moment = [_at(first, zone)]
    connector = bench.setup.connect(erp, lambda: moment[0], zone=str(zone))
    agree(erp, connector, connector.sync())
    for change in changes:
        for day in (change, change + DAY):
            erp.begin(day)
            moment[0] = _at(day, zone)
            for late in (False, True):  # the second was entered the day before, which has been read
                erp.post("invoice", late=late)
                result = connector.sync(sweep=False)
                assert (result.state, result.verdict) == ("published", "equal"), (day, zone, result.verdict)
                agree(erp, connector, result)
        before = versions(connector)
        again = connector.sync(sweep=False)
        assert (again.state, versions(connector)) == ("published", before), (change, zone)


def _changes(zone: ZoneInfo) -> Sequence[date]:
    """The days on which the zone's clocks change, or two without a change."""
    days = [date(YEAR, 1, 2) + number * DAY for number in range(360)]
    noons = [datetime.combine(day, time(12), zone) for day in days]
    return [noon.date() for noon in noons if noon.utcoffset() != (noon - DAY).utcoffset()] or WITHOUT


def _at(day: date, zone: ZoneInfo) -> datetime:
    """A moment of this day of the zone that is of another day of Greenwich."""
    moments = [datetime.combine(day, at, zone) for at in (time(0, 30), time(23))]
    return next(moment for moment in moments if moment.astimezone(UTC).date() != day)


def versions(connector: Connector) -> dict[str, int]:
    """How many versions of rows are known, those of today and those of before."""
    return {of: len(connector.rows(of)) for kind in KINDS for of in (kind, f"{kind}_history")}
