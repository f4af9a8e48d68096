"""Syncs in a row while the ERP posts in bursts: each ends published, of one moment, or moving; never held.

The simulated ERP keeps its journal's balances of every moment; what a sync published must be those of a moment
between its start and its end. ENCOURS_TEST_SYNCS says how many syncs of each ERP; `make prove` does 50.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
import requests

from encours import simulation
from receivables.errors import Moved
from tests.sync.intacct import KEY, started
from tests.sync.intacct import owed as owed_to_globex
from tests.sync.test_sync_equal import balances

if TYPE_CHECKING:
    from tests.conftest import Tell
    from tests.sync.conftest import Install, Installation, Start

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

SYNCS = int(os.environ.get("ENCOURS_TEST_SYNCS", "8"))
MANY = 50
A_SECOND = 20  # transactions
BURST, PAUSE = 10.0, 5.0  # seconds
OF_SAP = (
    "invoices", "instalments", "payments", "payments_on_account", "discounts", "partials", "residuals",
    "credit_memos", "reversals", "down_payments", "due_dates",
)  # fmt: skip
OF_INTACCT = (
    "invoices", "payments", "partials", "discounts", "applied_credits", "credit_memos", "debit_memos",
    "order_entry_credits", "overpayments", "advances", "reversals", "payment_reversals",
)  # fmt: skip

Moment = Mapping[str, Any]
Books = tuple[Mapping[Any, Any], str]  # amounts by place, and a digest of those by customer


@dataclass
class Business:
    """An ERP that posts in bursts; `control` is the origin of its control addresses."""

    control: str
    kinds: tuple[str, ...]
    posted: int = 0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)
    _rng: Random = field(default_factory=lambda: Random(1))
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Posts until the block is left."""
        began, thread = time.monotonic(), threading.Thread(target=self._bursts)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()
            self.seconds = time.monotonic() - began
        assert not self.failures

    def _bursts(self) -> None:
        while not (self._over.is_set() or self.failures):
            until = time.monotonic() + BURST
            while time.monotonic() < until and not self._over.is_set():
                due = time.monotonic() + 1 / A_SECOND
                self._post({self._rng.choice(self.kinds): 1})
                self._over.wait(max(0.0, due - time.monotonic()))
            self._over.wait(PAUSE)

    def _post(self, wish: Mapping[str, int]) -> None:
        """Posts one transaction; a kind for which nothing fits now is passed over."""
        answer = requests.post(f"{self.control}/_sandbox/post", json=wish, timeout=60)
        self.posted += answer.ok
        if answer.status_code not in (200, 400):
            self.failures.append(answer.text)

    def moments(self, since: int, until: int | str = "") -> list[Moment]:
        """The journal's balances at every moment from one number to another."""
        asked = {"since": since, "until": until}
        answer = requests.get(f"{self.control}/_sandbox/moments", params=asked, timeout=60)
        found: list[Moment] = answer.json()["moments"]
        return found

    def now(self) -> int:
        """The number of the latest moment."""
        return int(self.moments(10**9)[-1]["number"])


def syncs(
    installation: Installation,
    key: str,
    business: Business,
    shown: Callable[[], Books],
    of: Callable[[Moment], Books],
) -> Counter[str]:
    """How the syncs of one connector end while business goes on; what is published was true at a moment."""
    ends: Counter[str] = Counter()
    with business.going_on():
        for number in range(SYNCS):
            began = business.now()
            try:
                result = installation.hub.sync(key, sweep=number % 10 == 9)
            except Moved:
                ends[installation.last_run(key).state] += 1
                continue
            ends[result.state] += 1
            assert result.state == "published", result.explanation
            books, moments = shown(), business.moments(began, business.now())
            assert any(of(moment) == books for moment in moments), f"sync {number + 1} shows what never was"
    return ends


def check(name: str, ends: Counter[str], business: Business, tell: Tell) -> None:
    """Half of many syncs at least are published, the others moving; of a few, how many is the machine's luck."""
    states = ", ".join(f"{count} {state}" for state, count in sorted(ends.items()))
    tell(f"{name}: {business.posted} transactions in {business.seconds:.0f} s, {SYNCS} syncs: {states}")
    assert set(ends) <= {"published", "moving"}
    assert ends["published"] >= (SYNCS / 2 if SYNCS >= MANY else 1)


@pytest.fixture(scope="module")
def installation(install: Install) -> Installation:
    return install()


def of_sap(installation: Installation, key: str) -> Books:
    """What is published by company code, account and currency in both currencies, and by customer."""
    sums: defaultdict[tuple[str, ...], tuple[Decimal, Decimal]] = defaultdict(
        lambda: (Decimal(0), Decimal(0))
    )
    digest = 0
    for (*place, customer), (amount, company_amount) in balances(partial(installation.of, key)).items():
        before = sums[tuple(place)]
        sums[tuple(place)] = (before[0] + amount, before[1] + company_amount)
        if amount:
            term = "|".join((*place, customer, f"{amount.normalize():f}"))
            digest += int.from_bytes(hashlib.sha256(term.encode()).digest()[:8])
    return {place: pair for place, pair in sums.items() if any(pair)}, f"{digest % 2**64:016x}"


def test_acme_is_published_while_it_posts(start: Start, installation: Installation, tell: Tell) -> None:
    erp = start("--items", "300", "--tenant", "acme").tenants["acme"]
    key = installation.connect(erp, "acme", history_months=1)
    assert installation.hub.sync(key).verdict == "equal"

    def of(moment: Moment) -> Books:
        accounts = {row["account"] for row in installation.of(key, "control_account")}
        places = {
            (code, account, currency): (Decimal(amount), Decimal(company_amount))
            for code, account, currency, amount, company_amount in moment["balances"]
            if account in accounts
        }
        return places, moment["customers"]

    business = Business(erp.url, OF_SAP)
    check("acme", syncs(installation, key, business, partial(of_sap, installation, key), of), business, tell)


def test_globex_is_published_while_it_posts(
    tmp_path_factory: pytest.TempPathFactory, installation: Installation, tell: Tell
) -> None:
    def of(moment: Moment) -> Books:
        sums: defaultdict[tuple[str, ...], Decimal] = defaultdict(Decimal)
        for entity, account, _, _, company_amount in moment["balances"]:
            if account in ("12000", "12100", "24000"):
                sums[entity, account] += Decimal(company_amount)
        return {place: amount for place, amount in sums.items() if amount}, ""

    with started(tmp_path_factory.mktemp("globex"), "--items", "300") as globex:
        simulation.connect(installation.hub, {"globex": globex.told})
        assert installation.hub.sync(KEY).verdict == "equal"
        business = Business(globex.told["control"], OF_INTACCT)
        ends = syncs(installation, KEY, business, lambda: (owed_to_globex(installation), ""), of)
    check("globex", ends, business, tell)
