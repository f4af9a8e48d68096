"""Days as OData V2 prints them: `/Date(1768435200000)/`, the milliseconds from 1970 to its midnight in UTC.

A day is never shifted to a zone. Refuses a moment that is not midnight where a day is expected, and what is
in no calendar (beyond year 9999). Source: OData V2 "JSON Format", 4, Primitive Types.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Final

from receivables.errors import Unreadable
from receivables.values import Days

PRINTED: Final = re.compile(r"/Date\((-?\d{1,18})([+-]\d{4})?\)/")
MILLISECONDS: Final = 86_400_000
EPOCH: Final = date(1970, 1, 1).toordinal()


def day_of(text: str, field: str) -> str:
    """The day as ISO text, `2026-01-15`; the time of a DateTimeOffset is left out.

    Raises Unreadable: day_form, day_range.
    """
    match = PRINTED.fullmatch(text)
    if match is None:
        raise Unreadable("day_form", field, f"{field} {text[:40]!a} is no day as OData V2 prints it.")
    days, time = divmod(int(match[1]), MILLISECONDS)
    if time and match[2] is None:
        raise Unreadable("day_form", field, f"{field} {text[:40]} is not a whole day.")
    if not 0 < EPOCH + days <= date.max.toordinal():
        raise Unreadable("day_range", field, f"{field} {text[:40]} is in no calendar.")
    return date.fromordinal(EPOCH + days).isoformat()


class PrintedDays:
    """Reads days and checks them against the range that a run started on `today` accepts; remembers them."""

    def __init__(self, today: date) -> None:
        self._check = Days(today)
        self._known: dict[str, str] = {}

    def __call__(self, text: str | None, field: str) -> str:
        """The day as ISO text. Raises Unreadable: day_missing, day_form, day_range."""
        known = self._known.get(text or "")
        if known is None:
            known = self._check(day_of(text, field) if text else None, field)
            self._known[text or ""] = known
        return known

    def or_none(self, text: str | None, field: str) -> str | None:
        """The day, or None where there is none."""
        return self(text, field) if text else None
