"""Business posted into a running world on request: what happened in the ERP since the last read.

Open items are chosen by a seed that moves on with every request, so that repeated requests do new things.
A posting dated before today is entered today; a day after today moves the clock to it. It refuses a request
for which there is no fitting open item, with a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from random import Random
from typing import Any

from sandbox.books import Books, Document
from sandbox.business import When
from sandbox.clock import Clock
from sandbox.desk import ACTIONS, MIX, Desk


@dataclass
class Clerk:
    """Posts into the books of one tenant."""

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
        return {"ended": ended.isoformat(), "today": day.isoformat()}

    def post(self, wish: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Post what a request asks for and list the documents.

        `wish` holds numbers by kind (ACTIONS), `settle` (lists of item keys, each cleared by one receipt),
        `number` for that receipt, `company_code`, `currency` of invoices, `on` (day of posting, default
        today) and `entered` (day of entry, default today: an earlier one is what was entered then and
        committed only now).

        Raises:
            ValueError: an unknown kind, nothing fits, or a day of entry after today.
        """
        unknown = set(wish) - set(ACTIONS) - {"company_code", "currency", "on", "entered", "settle", "number"}
        if unknown:
            raise ValueError(f"cannot post {', '.join(sorted(unknown))}: choose from {', '.join(ACTIONS)}")
        self.requests += 1
        self.books.today = self.today
        day = date.fromisoformat(wish["on"]) if "on" in wish else self.books.today
        if day > self.books.today:
            self.begin(day)
        entered = date.fromisoformat(wish.get("entered", self.books.today.isoformat()))
        if entered > self.books.today:
            raise ValueError(f"nothing can be entered on {entered}: today is {self.books.today}")
        when = When(day, entered)
        desk = Desk(
            self.books,
            Random(f"{self.seed} {self.requests}"),
            when,
            wish.get("company_code"),
            wish.get("currency", ""),
        )
        try:
            done = [
                _named("settled", desk.settle(keys, wish.get("number", "")))
                for keys in wish.get("settle", [])
            ]
            for kind, act in ACTIONS.items():
                done.extend(
                    _named(kind, document) for _ in range(int(wish.get(kind, 0))) for document in [act(desk)]
                )
        finally:
            self.books.moments.end()
        return done


def _named(kind: str, document: Document) -> dict[str, Any]:
    return {
        "kind": kind,
        "company_code": document.company.code,
        "fiscal_year": document.year,
        "document": document.number,
        "items": [str(item.number) for item in document.customer_items],
    }
