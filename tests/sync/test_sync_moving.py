"""The ERP posts while a sync reads: what is published is of one moment, or the run ends as moving; never held."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

import pytest

from encours import simulation
from encours.hub import Hub
from encours.reading import Step
from encours.sync import FURTHER_PASSES
from receivables.errors import Moved, Transient
from tests.sync.intacct import KEY, Intacct, journal, started
from tests.sync.intacct import owed as owed_to_globex
from tests.sync.test_sync_equal import owed, owed_by_the_journal

if TYPE_CHECKING:
    from tests.sync.conftest import Erp, Install, Installation, Start

pytestmark = pytest.mark.long

SMALL = {"history_months": 1, "page_size": 100}
BUSINESS = {"invoices": 3, "payments": 2, "partials": 1, "credit_memos": 1, "reversals": 1}


class Meanwhile:
    """Does something in the ERP while a sync reads; `when` is asked with the step's name and how often it came."""

    def __init__(self, when: Callable[[str, int], bool], act: Callable[[], object]) -> None:
        self.done = 0
        self._seen: Counter[str] = Counter()
        self._when, self._act = when, act

    def __call__(self, step: Step) -> None:
        """Looks at each step that the sync reports."""
        self._seen[step.what] += 1
        if self._when(step.what, self._seen[step.what]):
            self.done += 1
            self._act()


def at(what: str, number: int) -> Callable[[str, int], bool]:
    """The n-th time that this is reported: when a slice begins, and after each of its pages."""
    return lambda step, seen: (step, seen) == (what, number)


def always(_: str, seen: int) -> bool:
    """At every step but the first, before which nothing is compared."""
    return seen > 1


@pytest.fixture(scope="module")
def erp(start: Start) -> Erp:
    return start("--items", "300", "--tenant", "acme").tenants["acme"]


@pytest.fixture(scope="module")
def installation(install: Install) -> Installation:
    return install()


@pytest.fixture
def key(installation: Installation, erp: Erp) -> str:
    """A connector of the test's own."""
    return installation.connect(erp, f"of-{len(installation.hub.registry.connectors())}", **SMALL)


@pytest.mark.parametrize("mode", ["snapshot", "delta", "sweep"])
def test_what_is_posted_while_we_read_is_read_as_well(
    mode: str, key: str, erp: Erp, installation: Installation
) -> None:
    if mode != "snapshot":
        assert installation.hub.sync(key).verdict == "equal"
    meanwhile = Meanwhile(at("accounting items", 3), partial(erp.post, **BUSINESS))

    result = installation.hub.sync(key, sweep=mode == "sweep", progress=meanwhile)

    assert (result.mode, meanwhile.done) == (mode, 1)
    assert (result.state, result.verdict) == ("published", "equal"), result.explanation
    assert owed(partial(installation.of, key)) == owed_by_the_journal(erp)
    again = installation.hub.sync(key, sweep=False)
    assert (again.verdict, again.rows_staged) == ("equal", 0)


def test_a_further_pass_stages_what_is_new_and_nothing_else(
    key: str, erp: Erp, installation: Installation
) -> None:
    installation.hub.sync(key)
    before = owed_by_the_journal(erp)
    erp.post(invoices=30)
    meanwhile = Meanwhile(at("control totals", 2), partial(erp.post, invoices=2))

    result = installation.hub.sync(key, sweep=False, progress=meanwhile)

    assert (meanwhile.done, result.verdict) == (1, "equal"), result.explanation
    new = len(owed_by_the_journal(erp)) - len(before)
    assert new >= 32
    assert new <= result.rows_staged <= 3 * new, "as created, as changed, and the billing document"


def test_books_that_never_stand_still_are_moving_and_not_held(
    key: str, erp: Erp, installation: Installation
) -> None:
    installation.hub.sync(key)
    before, since = installation.visible(key), erp.last_request()
    meanwhile = Meanwhile(always, partial(erp.post, invoices=1))

    with pytest.raises(Transient, match=f"{key}: the books moved while we read, also in 3 further passes"):
        installation.hub.sync(key, sweep=False, progress=meanwhile)

    assert installation.visible(key) == before
    assert installation.last_run(key).state == "moving"
    deltas = [r for r in erp.requests_since(since) if "ClearingCreationDate" in str(r)]
    assert len(deltas) >= 1 + FURTHER_PASSES
    assert installation.hub.sync(key, sweep=False).verdict == "equal"
    assert owed(partial(installation.of, key)) == owed_by_the_journal(erp)


def test_a_list_that_becomes_shorter_is_read_again_from_its_first_page(
    key: str, erp: Erp, installation: Installation
) -> None:
    installation.change(key, page_size=20)
    assert installation.hub.sync(key).verdict == "equal"
    since = erp.last_request()
    meanwhile = Meanwhile(at("sweep", 2), partial(erp.post, payments=40))

    result = installation.hub.sync(key, sweep=True, progress=meanwhile)

    assert meanwhile.done == 1
    assert (result.state, result.verdict) == ("published", "equal"), result.explanation
    assert owed(partial(installation.of, key)) == owed_by_the_journal(erp)
    swept = [r for r in erp.requests_since(since) if "ClearingAccountingDocument%20eq" in r["query"]]
    firsts = Counter(r["query"] for r in swept if "skip" not in r["query"])
    assert sorted(firsts.values()) == [1, 2], "one company code's list was read twice"


def test_a_list_that_never_stops_becoming_shorter_is_moving(
    key: str, erp: Erp, installation: Installation
) -> None:
    installation.change(key, page_size=20)
    assert installation.hub.sync(key).verdict == "equal"
    before = installation.visible(key)
    meanwhile = Meanwhile(lambda what, _: what == "sweep", partial(erp.post, payments=2))

    with pytest.raises(Moved, match=rf"{key}, sweep: the list became shorter while it was read"):
        installation.hub.sync(key, sweep=True, progress=meanwhile)

    assert installation.visible(key) == before
    assert installation.last_run(key).state == "moving"


def test_a_difference_is_held_after_a_pass_that_found_nothing(
    key: str, erp: Erp, installation: Installation
) -> None:
    installation.hub.sync(key)
    erp.fault("manual_journal")
    erp.post(invoices=1)
    try:
        result = installation.hub.sync(key, sweep=False)
    finally:
        erp.well()
    assert (result.state, result.reason) == ("held", "difference")


def test_an_interrupted_further_pass_is_done_again(key: str, erp: Erp, installation: Installation) -> None:
    installation.hub.sync(key)

    def interrupt() -> None:
        erp.post(**BUSINESS)
        raise KeyboardInterrupt

    erp.post(invoices=2)
    first = Meanwhile(at("control totals", 2), partial(erp.post, invoices=1))
    second = Meanwhile(at("accounting items", 9), interrupt)

    def both(step: Step) -> None:
        first(step)
        second(step)

    with pytest.raises(KeyboardInterrupt):
        installation.hub.sync(key, sweep=False, progress=both)
    left = installation.last_run(key)
    assert left.state == "reading"

    result = installation.hub.sync(key, sweep=False)

    assert (result.run, result.state, result.verdict) == (left.number, "published", "equal")
    assert owed(partial(installation.of, key)) == owed_by_the_journal(erp)


# -- Sage Intacct ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def globex(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intacct]:
    with started(tmp_path_factory.mktemp("globex"), "--items", "300") as company:
        yield company


@pytest.fixture(scope="module")
def connected(install: Install, globex: Intacct) -> Installation:
    """An installation that has loaded the company for the first time."""
    installed = install()
    simulation.connect(installed.hub, {"globex": globex.told})
    assert installed.hub.sync(KEY).verdict == "equal"
    return installed


@pytest.mark.parametrize("stream", ["invoices", "adjustments", "receipts", "allocations"])
@pytest.mark.parametrize(
    "kind", ["invoices", "payments", "applied_credits", "overpayments", "payment_reversals"]
)
def test_what_is_posted_at_globex_while_we_read_is_read_as_well(
    stream: str, kind: str, connected: Installation, globex: Intacct
) -> None:
    meanwhile = Meanwhile(at(stream, 2), lambda: globex.control("post", **{kind: 2}))

    result = connected.hub.sync(KEY, sweep=False, progress=meanwhile)

    assert meanwhile.done == 1
    assert (result.state, result.verdict) == ("published", "equal"), result.explanation
    assert owed_to_globex(connected) == journal(globex)


def test_what_no_total_shows_is_not_held(connected: Installation, globex: Intacct) -> None:
    """A credit is applied after the sweep has shown invoices and before it shows adjustments, one being the debt and
    one the credit: on the account nothing changes, and ours is of two moments."""
    debt, credit = a_debt_and_a_credit_of_its_size(globex)
    assert connected.hub.sync(KEY, sweep=False).verdict == "equal"
    before = journal(globex)
    meanwhile = Meanwhile(at("sweep", 2), lambda: globex.control("post", settle=[[debt, credit]]))

    result = connected.hub.sync(KEY, sweep=True, progress=meanwhile)

    assert (meanwhile.done, journal(globex)) == (1, before)
    assert (result.state, result.verdict) == ("published", "equal"), result.explanation
    assert owed_to_globex(connected) == before


def a_debt_and_a_credit_of_its_size(globex: Intacct) -> tuple[str, str]:
    """Keys of a debt and of a credit of its customer that is not less, one an invoice, the other an adjustment."""
    shared = ("customer", "account", "currency", "entity")
    for _ in range(20):
        globex.control("post", order_entry_credits=20, debit_memos=20, credit_memos=20, entity="N-100")
        items = [
            (Decimal(item["amount"]), item)
            for item in globex.control("journal")["open_items"]
            if item["object"] in ("ARINVOICE", "ARADJUSTMENT")
        ]
        credit_notes = [(amount, item) for amount, item in items if amount < 0]
        for amount, debt in items:
            for credited, credit in credit_notes:
                same = all(debt[name] == credit[name] for name in shared)
                if same and debt["object"] != credit["object"] and 0 < amount <= -credited:
                    return debt["key"], credit["key"]
    raise AssertionError("no credit is as large as a debt")


def test_what_is_committed_late_is_found_by_the_second_reader(
    install: Install, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A document with a moment an hour before the bookmark: the next run's delta does not ask for it any more."""
    installed = install()
    with started(tmp_path_factory.mktemp("late"), "--items", "300") as globex:
        simulation.connect(installed.hub, {"globex": globex.told})
        began = datetime.now(UTC)
        assert installed.hub.sync(KEY).verdict == "equal"
        morning = datetime.combine(began.date() + timedelta(days=1), time(8), UTC)
        globex.control("day", day=morning.date().isoformat())
        late = morning - (began - timedelta(hours=1))
        globex.control("post", invoices=2, payments=1, late=int(late.total_seconds()))
        hub = Hub(installed.hub.settings, clock=lambda: morning + timedelta(minutes=5))

        result = hub.sync(KEY, sweep=False)

        assert (result.state, result.verdict) == ("published", "equal"), result.explanation
        assert owed_to_globex(installed) == journal(globex)
    (mark,) = [row["value"] for row in installed.of(KEY, "bookmark") if row["name"] == "late"]
    assert datetime.fromisoformat(mark) <= morning - timedelta(hours=2) + timedelta(minutes=5)
