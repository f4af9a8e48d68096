"""Business posted continuously into a running world, inside its process, while others read.

One document after the other is posted between two requests: a request sees the books of one moment, and a
read of many pages spans many. What is late by more than a second is left out, not made up for. It refuses a
rate that is no number of documents a second.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from random import Random
from typing import Any, Protocol

import requests
from starlette.requests import Request

from sandbox.control import Refused, json_body

KEPT = 100_000
FASTEST = 200.0
BACK_DATED = 0.05
TRIES = 20


class Clerk(Protocol):
    """Posts on request, and knows what a usual day's business is made of."""

    seed: str

    @property
    def today(self) -> date:
        """The day of the books."""
        ...

    @property
    def mix(self) -> Mapping[str, int]:
        """The kinds of business and how often each happens, relative to the others."""
        ...

    def post(self, wish: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Post what is wished for, in one step."""
        ...


@dataclass(frozen=True)
class Rate:
    """Documents a second; `burst` seconds with pauses between them if set; 0 `seconds`: until stopped."""

    rate: float = 0.0
    burst: float = 0.0
    pause: float = 0.0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= FASTEST or min(self.burst, self.pause, self.seconds) < 0:
            raise Refused(
                f"rate is 0 to {FASTEST:g} documents a second; burst, pause and seconds are seconds"
            )

    def is_pause(self, elapsed: float) -> bool:
        """Say whether nothing is posted at a time, in seconds from the start."""
        return self.burst > 0 and elapsed % (self.burst + self.pause) >= self.burst


@dataclass
class Posting:
    """The continuous posting into one tenant's books."""

    clerk: Clerk
    rate: Rate = field(default_factory=Rate)
    counts: Counter[str] = field(default_factory=Counter)
    left_out: int = 0
    number: int = 0
    posted: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=KEPT))
    task: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self._rng = Random(f"{self.clerk.seed} rate")

    async def control(self, request: Request) -> dict[str, Any]:
        """Start, change or stop (rate 0) the posting; GET tells what was posted after number `since`."""
        if request.method == "POST":
            wish = await json_body(request)
            try:
                rate = Rate(**{name: float(value) for name, value in wish.items()})
            except TypeError as error:
                raise Refused(f"a rate has rate, burst, pause, seconds: {error}") from error
            self.start(rate)
        return self.told(int(request.query_params.get("since", self.number)))

    def start(self, rate: Rate) -> None:
        """Post at a rate from now on, whatever was going on before."""
        if self.task is not None:
            self.task.cancel()
        self.rate = rate
        self.task = asyncio.create_task(self._run(rate)) if rate.rate else None

    def told(self, since: int) -> dict[str, Any]:
        """Give the rate, the counts, and what was posted after a number, as far as it is kept."""
        return {
            "today": self.clerk.today.isoformat(),
            "mix": self.clerk.mix,
            **asdict(self.rate),
            "running": self.task is not None and not self.task.done(),
            "last": self.number,
            "counts": dict(self.counts),
            "left_out": self.left_out,
            "posted": [document for document in self.posted if document["number"] > since],
        }

    async def _run(self, rate: Rate) -> None:
        started = time.monotonic()
        due = 0.0
        while not rate.seconds or due < rate.seconds:
            late = time.monotonic() - started - due
            if late < 0:
                await asyncio.sleep(-late)
                continue
            if not rate.is_pause(due):
                if late > 1:
                    self.left_out += 1
                else:
                    self._post()
                    await asyncio.sleep(0)  # a request that waits comes first
            due += 1 / rate.rate

    def _post(self) -> None:
        """Post one document of the usual mix; kinds for which nothing fits today are passed over."""
        rng, mix = self._rng, self.clerk.mix
        for _ in range(TRIES):
            kind = rng.choices(list(mix), list(mix.values()))[0]
            wish: dict[str, Any] = {kind: 1}
            if rng.random() < BACK_DATED:
                wish["on"] = (self.clerk.today - timedelta(days=rng.randint(1, 20))).isoformat()
            try:
                posted = self.clerk.post(wish)
            except ValueError:
                continue
            self.counts[kind] += 1
            for document in posted:
                self.number += 1
                self.posted.append({"number": self.number, **document, "on": wish.get("on", "")})
            return


def follow(control_url: str, rate: Rate) -> None:
    """Let a running world post, print counts every second, and each document as JSON once it has ended.

    It ends with the rate's seconds, or at SIGINT or SIGTERM, which stop the posting as well.

    Raises:
        requests.RequestException: the world does not answer, or refuses.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())
    address = f"{control_url}/_sandbox/rate"
    with requests.Session() as session:
        session.trust_env = False  # a proxy does not know this machine's sandbox
        answer = session.post(address, json=asdict(rate), timeout=60)
        answer.raise_for_status()
        first = told = answer.json()
        while told["running"] and not stop.wait(1):
            told = session.get(address, timeout=60).json()
            count, late = told["last"] - first["last"], told["left_out"] - first["left_out"]
            sys.stderr.write(f"{count} documents, {late} left out because they were late\n")
        session.post(address, json={"rate": 0}, timeout=60)
        documents = session.get(address, params={"since": first["last"]}, timeout=60).json()["posted"]
    for document in documents:
        sys.stdout.write(json.dumps(document) + "\n")
    sys.stderr.write(f"{listed(Counter(document['kind'] for document in documents))}\n")


def listed(counts: Mapping[str, int]) -> str:
    """Print counts by kind: `5 posted: 2 invoices, 3 payments`."""
    kinds = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in sorted(counts.items()))
    return f"{sum(counts.values())} posted: {kinds}"
