"""SIGKILL at every named point of a sync, by the process itself: nothing is lost, nothing doubled, all are reached.

ENCOURS_TEST_POINTS says how often at each point; `make prove` does 50. Each turn through all points has a small
world of its own, so that the last is not slower than the first. The n-th passage is drawn; the seed is printed.
How the next run must end is said in test_crash_sync.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from receivables.crash import OF_A_SYNC
from tests.crash.test_crash_sync import (
    SMALL,
    Kill,
    Trial,
    check_the_witness,
    check_what_readers_see,
    next_run,
    trial,
)

if TYPE_CHECKING:
    from tests.conftest import Tell
    from tests.crash.test_crash_sync import Mode
    from tests.sync.conftest import Erp, Starting

__all__ = ["trial"]

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

TIMES = int(os.environ.get("ENCOURS_TEST_POINTS", "1"))
MODES: tuple[Mode, ...] = ("snapshot", "delta", "sweep")
# How often a sync of these books passes a point at least; elsewhere once.
PASSAGES = {
    "before_page": 3, "received": 3, "parsed": 3, "last_page": 3, "copying": 5, "staged": 3, "commit_sent": 3,
    "committed": 3, "merging": 8,
}  # fmt: skip


def disturb(erp: Erp, point: str) -> None:
    """What makes a sync pass a point that it does not pass by itself."""
    if point == "rejecting":
        wish = {"kind": "value", "set": "A_Customer", "property": "CustomerName", "value": "a\u202eb"}
        erp.control("misbehave", {**wish, "times": 1000})
    elif point == "again":
        erp.fault("manual_journal")


@pytest.fixture
def erp(starting: Starting) -> Iterator[Erp]:
    """An ERP of this turn's own."""
    with starting("--items", "100", "--tenant", "acme") as sandbox:
        yield sandbox.tenants["acme"]


@pytest.mark.parametrize("turn", range(TIMES))
def test_a_kill_at_every_point_loses_nothing_and_doubles_nothing(turn: int, trial: Trial, tell: Tell) -> None:
    standing = trial.watch(trial.installation, "standing")
    assert trial.installation.hub.sync("standing").verdict == "equal"
    rng = random.Random(trial.seed)
    table = [f"seed {trial.seed}"]
    for number, point in enumerate(OF_A_SYNC):
        mode, watched = MODES[(turn + number) % 3], standing
        if mode == "snapshot":
            key = trial.installation.connect(trial.erp, f"point-{number}", **SMALL)
            watched = trial.watch(trial.installation, key)
        trial.business(mode)
        before, since = watched.visible(), watched.look().number
        passage = rng.randint(1, PASSAGES.get(point, 1))
        disturb(trial.erp, point)
        syncing = trial.spawn(trial.installation, ENCOURS_CRASH_AT=f"{point}:{passage}")
        syncing.begin(watched.key, sweep=mode == "sweep")
        code, said, complaint = syncing.end()
        trial.erp.well()
        assert code == -signal.SIGKILL, f"{mode} never came to {point}:{passage}: {said} {complaint}"
        left = watched.until(lambda look: not look.locked)
        kill = Kill(number + 1, mode, left.phase(since), left)
        check_what_readers_see(trial, watched, kill, since, before)
        table.append(f"{point:12} {passage}  {kill.line(next_run(trial, watched, kill))}")
    tell(*table)
    check_the_witness(trial)
