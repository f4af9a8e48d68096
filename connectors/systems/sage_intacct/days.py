"""Days and moments as Intacct prints them: `02/14/2026`, `02/20/2026 16:02:11`.

A day is never shifted to a zone; moments are read in the connector's zone. Refuses any other form. Source:
developer.intacct.com, "Parameter formats".
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from receivables.errors import Unreadable
from receivables.values import Days

PRINTED: Final = re.compile(r"(\d{2})/(\d{2})/(\d{4})(?: \d{2}:\d{2}:\d{2})?")
MOMENT: Final = "%m/%d/%Y %H:%M:%S"
CHANGE: Final = timedelta(hours=2)  # no zone puts its clocks back by more
NOTHING: Final = timedelta(0)


class PrintedDays:
    """Reads days and checks them against the range that a run started on `today` accepts; remembers them."""

    def __init__(self, today: date) -> None:
        self._check = Days(today)
        self._known: dict[str, str] = {}

    def __call__(self, text: str | None, field: str) -> str:
        """The day as ISO text; of a moment its day. Raises Unreadable: day_missing, day_form, day_range."""
        known = self._known.get(text or "")
        if known is None:
            match = PRINTED.fullmatch(text or "")
            if text and match is None:
                raise Unreadable("day_form", field, f"{field} {text[:40]!a} is no day as Intacct prints it.")
            iso = f"{match[3]}-{match[1]}-{match[2]}" if match else None
            known = self._known[text or ""] = self._check(iso, field)
        return known

    def or_none(self, text: str | None, field: str) -> str | None:
        """The day, or None where there is none."""
        return self(text, field) if text else None


def earliest(moment: datetime, zone: ZoneInfo) -> datetime:
    """The earliest that a clock in this zone shows at the moment or later.

    Where clocks are put back within the next hours, that is what they show right after.
    """
    return moment.astimezone(zone) - max(_offset(moment, zone) - _offset(moment + CHANGE, zone), NOTHING)


def latest(moment: datetime, zone: ZoneInfo) -> datetime:
    """The latest that a clock in this zone has shown at the moment or in the hours before."""
    return moment.astimezone(zone) + max(_offset(moment - CHANGE, zone) - _offset(moment, zone), NOTHING)


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or NOTHING


def printed(moment: datetime) -> str:
    """A moment as filters take it; it must be in the connector's zone already."""
    return moment.strftime(MOMENT)


def printed_day(day: date) -> str:
    """A day as filters take it."""
    return day.strftime("%m/%d/%Y")
