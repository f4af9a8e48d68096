"""Days of business, played one after the other into a running world through its control addresses.

Every day has its documents, in the mix that the world tells, some posted on an earlier day; then it ends. The
same seed plays the same month into the same books. It refuses a world that does not answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from random import Random
from typing import Any

import requests

BACK_DATED = 0.05
EARLIEST = 25  # days before
BLOCKS = {"blocked_partners": 1, "unblocked_partners": 1}


def play(control: str, *, days: int, seed: int, documents: int = 60) -> Iterator[dict[str, Any]]:
    """Play the next days; yields each day after its last document and begins the next one afterwards.

    Yields `day`, `posted` (documents by kind), `back_dated`, and `refused` (by kind: nothing fitted).

    Raises:
        requests.RequestException: the world does not answer, or refuses to begin a day.
    """
    with requests.Session() as session:
        session.trust_env = False  # a proxy does not know this machine's sandbox
        for _ in range(days):
            told = session.get(f"{control}/_sandbox/rate", timeout=60).json()
            today, mix = date.fromisoformat(told["today"]), dict(told["mix"])
            if "renamed_partners" in mix:
                mix |= BLOCKS
            rng = Random(f"month {seed} {today}")
            posted: Counter[str] = Counter()
            refused: Counter[str] = Counter()
            back_dated = 0
            for kind in rng.choices(list(mix), list(mix.values()), k=documents):
                wish: dict[str, Any] = {kind: 1}
                if rng.random() < BACK_DATED:
                    wish["on"] = (today - timedelta(days=rng.randint(1, EARLIEST))).isoformat()
                answer = session.post(f"{control}/_sandbox/post", json=wish, timeout=60)
                (posted if answer.ok else refused)[kind] += 1
                back_dated += answer.ok and "on" in wish
            yield {
                "day": today.isoformat(),
                "posted": dict(posted),
                "back_dated": back_dated,
                "refused": dict(refused),
            }
            tomorrow = {"day": (today + timedelta(days=1)).isoformat()}
            session.post(f"{control}/_sandbox/day", json=tomorrow, timeout=60).raise_for_status()
