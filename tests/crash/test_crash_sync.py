"""SIGKILL by the parent at random moments of a sync: after the next run nothing is lost and nothing doubled.

First loads, deltas and sweeps are killed; a witness, which nobody kills, syncs the same books. The seed of the
moments is printed, with what each kill hit; pytest's `-p randomly_seed=N` draws the same moments again.
ENCOURS_TEST_KILLS says how many; `make prove` does 100.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

import pytest

from encours.sync import SyncResult
from tests.sync.test_sync_equal import balances, balances_of_the_journal, owed, owed_by_the_journal

if TYPE_CHECKING:
    from tests.conftest import Tell
    from tests.crash.conftest import Look, Phase, Spawn, Syncing, Watch, Watching
    from tests.sync.conftest import Erp, Install, Installation, Start

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

KILLS = int(os.environ.get("ENCOURS_TEST_KILLS", "30"))
Mode = Literal["snapshot", "delta", "sweep"]
Aim = Literal["anywhere", "reading", "staging", "publishing", "clearing"]
MODES: tuple[Mode, ...] = ("snapshot", "delta", "sweep")
AIMS: tuple[Aim, ...] = ("anywhere", "reading", "staging", "publishing", "clearing")
SMALL = {"history_months": 1, "page_size": 40}  # many pages in a second
DATED = {"invoices": 3, "payments": 2, "credit_memos": 1, "partials": 1, "residuals": 1, "new_customers": 1}
DATELESS = {"resets": 1, "dunnings": 1}  # what only a sweep can see
LATE: tuple[Phase, ...] = ("publishing", "clearing", "published")
# Staged rows go table by table when a run is over; too quickly to be hit unless they are held.
CLEARED = ("staged_legal_entity", "staged_open_item", "staged_raw_digest", "staged_reject")

Owed = dict[tuple[str, ...], tuple[Decimal, Decimal]]


@dataclass(frozen=True)
class Usual:
    """How a sync of one mode goes when nobody kills it; times in seconds."""

    mode: Mode
    whole: float
    publishing: float
    pages: int


@dataclass(frozen=True)
class Kill:
    """One kill: of what, where it hit, and what it left behind."""

    number: int
    mode: Mode
    hit: Phase
    left: Look

    def line(self, result: SyncResult) -> str:
        """The kill and the run after it, as one line of a table."""
        left = "nothing" if self.hit == "starting" else f"{self.left.state}, {self.left.pages} pages"
        after = f"then run {result.run} {result.mode} {result.state} in {result.seconds:.2f} s"
        return f"{self.number:4}  {self.mode:9} in {self.hit:11} left {left:20} {after}"


@dataclass
class Trial:
    """An ERP, the hub that is killed, the witness whom nobody kills, and the seed of the moments."""

    erp: Erp
    installation: Installation
    spawn: Spawn
    watch: Watching
    witness: Watch
    seed: int

    def business(self, mode: Mode) -> None:
        """Something happens in the ERP; the witness reads it as the sync that will be killed."""
        if mode != "snapshot":
            self.erp.post(**DATED, **(DATELESS if mode == "sweep" else {}))
            result = self.installation.hub.sync("witness", sweep=mode == "sweep")
            assert (result.state, result.verdict) == ("published", "equal"), result.explanation

    def undisturbed(self, watched: Watch, mode: Mode) -> Usual:
        """A sync as it goes when nobody kills it."""
        self.business(mode)
        since, syncing = watched.look().number, self.spawn(self.installation)
        syncing.begin("standing", sweep=mode == "sweep")
        began, pages = time.monotonic(), 0
        entered: dict[Phase, float] = {}
        while "published" not in entered:
            look = watched.look()
            entered.setdefault(look.phase(since), time.monotonic() - began)
            pages = max(pages, look.pages)
        assert syncing.end()[:2] == (0, "published")
        published = entered["published"]
        return Usual(mode, time.monotonic() - began, published - entered.get("publishing", published), pages)

    def moment(self, attempt: int, aim: Aim, usual: Usual, watched: Watch, syncing: Syncing) -> Phase:
        """Lets the sync go on until a random moment, stops it there, and says what it was doing."""
        since = watched.look().number
        rng = random.Random(f"{self.seed} {attempt}")
        seconds, page = rng.uniform(0, usual.whole), rng.randrange(usual.pages)
        begun = syncing.begin(watched.key, sweep=usual.mode == "sweep")

        def reached(look: Look) -> bool:
            phase = look.phase(since)
            if aim == "reading":  # in the first half, which is mostly that
                reading = phase == "reading" and time.monotonic() >= begun + seconds / 2
                return reading or look.compared or phase in LATE
            if aim == "staging":
                return look.compared or phase in LATE or (phase == "staging" and look.pages >= page)
            if aim == "publishing":
                return phase in LATE
            return phase in LATE[1:] if aim == "clearing" else time.monotonic() >= begun + seconds

        if aim == "publishing":
            watched.until(reached)
            time.sleep(rng.uniform(0, 0.6 * usual.publishing))
        elif aim == "clearing":
            watched.until(lambda look: look.phase(since) in LATE)
            with watched.holding(rng.choice(CLEARED)):
                return syncing.stop_when(watched, reached).phase(since)
        return syncing.stop_when(watched, reached).phase(since)


@pytest.fixture(scope="module")
def erp(start: Start) -> Erp:
    return start("--items", "400", "--tenant", "acme").tenants["acme"]


@pytest.fixture
def trial(erp: Erp, install: Install, spawn: Spawn, watch: Watching) -> Trial:
    installation = install()
    for key in ("witness", "standing"):
        installation.connect(erp, key, **SMALL)
    assert installation.hub.sync("witness").verdict == "equal"
    witness = watch(installation, "witness")
    return Trial(erp, installation, spawn, watch, witness, seed=random.getrandbits(32))


def test_kills_at_random_moments_lose_nothing_and_double_nothing(trial: Trial, tell: Tell) -> None:
    standing = trial.watch(trial.installation, "standing")
    usual = {mode: trial.undisturbed(standing, mode) for mode in MODES}
    hits: Counter[Phase] = Counter()
    table = [f"seed {trial.seed}"]
    waiting = trial.spawn(trial.installation)
    for attempt in range(2 * KILLS):  # a sync may end before its moment comes: that is no kill
        if (number := hits.total() + 1) > KILLS:
            break
        mode, aim, watched = MODES[number % 3], AIMS[number // 3 % len(AIMS)], standing
        if mode == "snapshot":
            key = trial.installation.connect(trial.erp, f"first-{attempt}", **SMALL)
            watched = trial.watch(trial.installation, key)
        trial.business(mode)
        before, since, syncing = watched.visible(), watched.look().number, waiting
        hit = trial.moment(attempt, aim, usual[mode], watched, syncing)
        syncing.process.kill()
        waiting = trial.spawn(trial.installation)
        if syncing.end()[0] == 0:
            continue
        assert syncing.process.returncode == -signal.SIGKILL
        left = watched.until(lambda look: not look.locked)
        kill = Kill(number, mode, hit, left)
        hits[hit] += 1
        check_what_readers_see(trial, watched, kill, since, before)
        table.append(kill.line(next_run(trial, watched, kill)))
    tell(*table)
    assert hits.total() == KILLS
    assert min(hits[phase] for phase in ("reading", "staging", "publishing", "clearing")) >= 2, hits
    check_the_witness(trial)


def check_what_readers_see(
    trial: Trial, watched: Watch, kill: Kill, since: int | None, before: dict[str, list[str]]
) -> None:
    """Right after the kill: all that was there before, or all that the killed run published."""
    if kill.left.state == "published" and kill.left.number != since:
        assert len(watched.rows("publication")) == len(before["publication"]) + 1, kill
        assert owed(watched.rows) == owed_by_the_journal(trial.erp), kill
    else:
        assert watched.visible() == before, kill


def next_run(trial: Trial, watched: Watch, kill: Kill) -> SyncResult:
    """The run after the kill goes on where it was and ends as if nobody had killed; one more changes nothing."""
    result = trial.installation.hub.sync(watched.key, sweep=kill.mode == "sweep")
    assert (result.state, result.verdict, result.rejects) == ("published", "equal", 0), kill
    assert kill.left.state != "reading" or result.run == kill.left.number, kill
    assert owed(watched.rows) == owed_by_the_journal(trial.erp), kill
    assert balances(watched.rows) == balances_of_the_journal(trial.erp), kill
    shown = watched.publication()
    assert shown["content_hash"] == trial.witness.publication()["content_hash"]
    assert watched.staged() == {}, f"{kill}: staged rows of runs that are over"
    publications = {row["number"]: row["run_id"] for row in watched.rows("publication")}
    runs = {row["run_id"] for row in watched.rows("run") if row["state"] == "published"}
    assert set(publications.values()) == runs, kill
    assert sorted(publications) == list(range(1, len(runs) + 1)), kill
    bookmarks = watched.rows("bookmark")
    assert bookmarks, kill
    assert {row["run_id"] for row in bookmarks} <= runs, f"{kill}: a bookmark without its rows"

    again = trial.installation.hub.sync(watched.key, sweep=False)

    assert (again.verdict, again.mode, again.rows_staged) == ("equal", "delta", 0), kill
    further = watched.publication()
    assert further["content_hash"] == shown["content_hash"], kill
    assert set(further["changes"].values()) == {0}, kill
    return result


def check_the_witness(trial: Trial) -> None:
    """What all were compared with is what the ERP has, and every use of the password was told."""
    assert {row["state"] for row in trial.witness.rows("run")} == {"published"}
    assert set(owed(trial.witness.rows)) <= set(trial.erp.items())
    hub = trial.installation.hub
    assert hub.authority.audit.verify(hub.registry.connector("witness").tenant_id).intact
