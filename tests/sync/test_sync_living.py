"""Syncs in a row while the ERP posts in bursts: each ends published, of one moment, or moving; never held.

One thread posts one transaction after the other and writes down the books after each, so that every moment is
known. ENCOURS_TEST_SYNCS says how many syncs of each ERP; `make prove` does 50.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from encours import simulation
from encours.sync import Moved
from tests.sync.test_sync_equal import balances, balances_of_the_journal
from tests.sync.test_sync_intacct import KEY, journal, started
from tests.sync.test_sync_intacct import owed as owed_to_globex

if TYPE_CHECKING:
    from tests.sync.conftest import Install, Installation, Start

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

SYNCS = int(os.environ.get("ENCOURS_TEST_SYNCS", "8"))
A_SECOND = 20  # transactions, as far as the machine keeps up
BURST, PAUSE = 10.0, 5.0  # seconds
OF_SAP = (
    "invoices",
    "payments",
    "partials",
    "credit_memos",
    "residuals",
    "reversals",
    "discounts",
    "instalments",
)
OF_INTACCT = (
    "invoices", "payments", "partials", "applied_credits", "credit_memos", "overpayments", "advances",
    "payment_reversals", "reversals", "order_entry_credits",
)  # fmt: skip

Books = Mapping[Any, Any]  # amounts by place


@dataclass
class Business:
    """Posts in bursts, and keeps the books of every moment with the second from which they may have been so."""

    post: Callable[[str], object]
    books: Callable[[], Books]
    kinds: tuple[str, ...]
    rng: Random
    moments: list[tuple[float, Books]] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Posts until the block is left."""
        self.moments.append((time.monotonic(), self.books()))
        thread = threading.Thread(target=self._work)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()
        assert not self.failures, self.failures

    def _work(self) -> None:
        try:
            while not self._over.is_set():
                until = time.monotonic() + BURST
                while time.monotonic() < until and not self._over.is_set():
                    began = time.monotonic()
                    self.post(self.rng.choice(self.kinds))
                    self.moments.append((began, self.books()))
                    self._over.wait(max(0.0, began + 1 / A_SECOND - time.monotonic()))
                self._over.wait(PAUSE)
        except Exception as error:  # noqa: BLE001  a thread's error is told by the test
            self.failures.append(error)

    def between(self, began: float, ended: float) -> list[Books]:
        """The books of every moment from the first second to the last; those before the first held on in it."""
        before = [books for moment, books in self.moments if moment < began][-1:]
        return before + [books for moment, books in self.moments if began <= moment <= ended]


def syncs(
    installation: Installation, key: str, business: Business, shown: Callable[[], Books]
) -> Counter[str]:
    """How the syncs of one connector end while business goes on; what is published was true at a moment."""
    ends: Counter[str] = Counter()
    published: list[tuple[float, float, Books]] = []
    with business.going_on():
        for number in range(SYNCS):
            began = time.monotonic()
            try:
                result = installation.hub.sync(key, sweep=number % 10 == 9)
            except Moved:
                ends[installation.last_run(key).state] += 1
            else:
                published.append((began, time.monotonic(), shown()))
                ends[result.state] += 1
                assert result.state == "published", result.explanation
    for began, ended, books in published:
        assert books in business.between(began, ended), f"what was published at {ended} was never so"
    return ends


def check(name: str, ends: Counter[str], business: Business, capsys: pytest.CaptureFixture[str]) -> None:
    """Half of the syncs at least are published, the others moving."""
    seconds = business.moments[-1][0] - business.moments[0][0]
    with capsys.disabled():
        print(  # noqa: T201  what was proven is to be seen where the tests run
            f"\n{name}: {len(business.moments) - 1} transactions in {seconds:.0f} s, {SYNCS} syncs: "
            + ", ".join(f"{count} {state}" for state, count in sorted(ends.items()))
        )
    assert set(ends) <= {"published", "moving"}
    assert ends["published"] >= SYNCS / 2


@pytest.fixture(scope="module")
def installation(install: Install) -> Installation:
    return install()


def test_acme_is_published_while_it_posts(
    start: Start, installation: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    erp = start("--items", "300", "--tenant", "acme").tenants["acme"]
    key = installation.connect(erp, "acme", history_months=1)
    assert installation.hub.sync(key).verdict == "equal"
    business = Business(
        lambda kind: erp.post(**{kind: 1}), partial(balances_of_the_journal, erp), OF_SAP, Random(1)
    )
    ends = syncs(installation, key, business, lambda: balances(partial(installation.of, key)))
    check("acme", ends, business, capsys)


def test_globex_is_published_while_it_posts(
    tmp_path_factory: pytest.TempPathFactory, installation: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    with started(tmp_path_factory.mktemp("globex"), "--items", "300") as globex:
        simulation.connect(installation.hub, {"globex": globex.told})
        assert installation.hub.sync(KEY).verdict == "equal"
        business = Business(
            lambda kind: globex.control("post", **{kind: 1}), partial(journal, globex), OF_INTACCT, Random(1)
        )
        ends = syncs(installation, KEY, business, lambda: owed_to_globex(installation))
    check("globex", ends, business, capsys)
