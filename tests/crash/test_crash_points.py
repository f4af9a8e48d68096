"""SIGKILL at every named point of a sync, by the process itself: nothing is lost, nothing doubled, all are reached.

ENCOURS_TEST_POINTS says how often at each point; `make prove` does 50. The n-th passage is drawn; the seed is
printed. How the next run must end is said in test_crash_sync.
"""

from __future__ import annotations

import os
import random
import signal
from typing import TYPE_CHECKING

import pytest

from receivables.crash import OF_A_SYNC
from tests.crash.test_crash_sync import (
    SMALL,
    Kill,
    Trial,
    check_the_witness,
    check_what_readers_see,
    erp,
    next_run,
    trial,
)

if TYPE_CHECKING:
    from tests.crash.test_crash_sync import Mode
    from tests.sync.conftest import Erp

__all__ = ["erp", "trial"]

pytestmark = [pytest.mark.long, pytest.mark.timeout(4 * 3600)]

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


def test_a_kill_at_every_point_loses_nothing_and_doubles_nothing(
    trial: Trial, capsys: pytest.CaptureFixture[str]
) -> None:
    standing = trial.watch(trial.installation, "standing")
    assert trial.installation.hub.sync("standing").verdict == "equal"
    rng = random.Random(trial.seed)
    table, number = [f"seed {trial.seed}"], 0
    for turn in range(TIMES):
        for place, point in enumerate(OF_A_SYNC):
            number += 1
            mode, watched = MODES[(turn + place) % 3], standing
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
            kill = Kill(number, mode, left.phase(since), left)
            check_what_readers_see(trial, watched, kill, since, before)
            table.append(f"{point:12} {passage}  {kill.line(next_run(trial, watched, kill))}")
    with capsys.disabled():
        print("", *table, sep="\n")  # noqa: T201  what was hit is to be seen where the tests run
    check_the_witness(trial)
