"""The clock of one simulated ERP: it follows UTC until a day is set, then it runs from 08:00 of that day.

Moments are whole seconds of UTC without a zone. It refuses to go back to an earlier day.
"""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day

OPENS = time_of_day(8)
LAST_SECOND = time_of_day(23, 59, 59)


class Clock:
    """Gives the simulated day and moment; `day` None follows UTC."""

    def __init__(self, day: date | None) -> None:
        self._day = day
        self._set_at = time.monotonic()

    def today(self) -> date:
        """Give the simulated day."""
        return self._day or datetime.now(UTC).date()

    def now(self) -> datetime:
        """Give the simulated moment; on a day that was set it never passes midnight by itself."""
        if self._day is None:
            return datetime.now(UTC).replace(tzinfo=None, microsecond=0)
        elapsed = timedelta(seconds=int(time.monotonic() - self._set_at))
        return min(datetime.combine(self._day, OPENS) + elapsed, datetime.combine(self._day, LAST_SECOND))

    async def told(self, _request: object) -> dict[str, str]:
        """Give the moment to who asks for the control address."""
        return {"now": self.now().isoformat()}

    def move(self, day: date) -> None:
        """Go to 08:00 of a later day.

        Raises:
            ValueError: the day is not after today.
        """
        if day <= self.today():
            raise ValueError(f"the day {day} is not after today, {self.today()}")
        self._day, self._set_at = day, time.monotonic()
