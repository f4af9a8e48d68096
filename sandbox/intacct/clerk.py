"""Business posted into a running company on request: what happened since the last read.

Open records are chosen by a seed that moves on with every request, so that repeated requests do new things.
A posting dated before today is entered today; a day after today moves the clock to it. It refuses a request
for which there is no fitting record, with a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Any

from sandbox.clock import Clock
from sandbox.intacct.books import ADVANCE, PAYMENT, Books, Record
from sandbox.intacct.business import (
    When,
)
from sandbox.intacct.desk import ACTIONS, MIX, Desk


@dataclass
class Clerk:
    """Posts into the books of one company."""

    books: Books
    seed: str
    clock: Clock
    requests: int = 0

    def __post_init__(self) -> None:
        self.books.moments.end()  # the first moment: the world as it was built

    @property
    def today(self) -> date:
        """The day of the books."""
        return max(self.books.today, self.clock.today())

    @property
    def mix(self) -> Mapping[str, int]:
        """The kinds of business of a usual day, and how often each happens."""
        return MIX

    def begin(self, day: date) -> dict[str, Any]:
        """End the current day and go to a later one.

        Raises:
            ValueError: the day is not after today.
        """
        ended = self.today
        if day <= ended:
            raise ValueError(f"the day {day} is not after today, {ended}")
        self.clock.move(day)
        self.books.today = day
        self.books.version += 1
        return {"ended": ended.isoformat(), "today": day.isoformat()}

    def post(self, wish: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Post what a request asks for and list the records.

        `wish` holds numbers by kind (ACTIONS), `settle` (lists of keys of ARINVOICE and ARADJUSTMENT, each
        list paid and applied by one receipt), `entity`, `currency` of invoices, `on` (day of posting,
        default today) and `late` (seconds between the moment of entry and now, when it is committed).

        Raises:
            ValueError: an unknown kind, or nothing fits.
        """
        unknown = set(wish) - set(ACTIONS) - {"entity", "currency", "on", "late", "settle"}
        if unknown:
            raise ValueError(f"cannot post {', '.join(sorted(unknown))}: choose from {', '.join(ACTIONS)}")
        self.requests += 1
        self.books.today = self.today
        day = date.fromisoformat(wish["on"]) if "on" in wish else self.books.today
        if day > self.books.today:
            self.begin(day)
        when = When.at(day, self.clock.now() - timedelta(seconds=int(wish.get("late", 0))))
        rng = Random(f"{self.seed} {self.requests}")
        desk = Desk(self.books, rng, when, wish.get("entity"), wish.get("currency", ""))
        try:
            done = [_named("settled", desk.settle(keys)) for keys in wish.get("settle", [])]
            for kind, act in ACTIONS.items():
                done.extend(_named(kind, act(desk)) for _ in range(int(wish.get(kind, 0))))
        finally:
            self.books.moments.end()
        return done


def _named(kind: str, record: Record) -> dict[str, Any]:
    return {
        "kind": kind,
        "object": record.object,
        "key": str(record.key),
        "document": record.reference if record.object in (PAYMENT, ADVANCE) else record.number,
        "entity": record.entity.code,
        "customer": record.customer.number if record.customer else "",
    }
