"""A zombie: a sync that stood still for so long that its connection is gone and another run took its place."""

from __future__ import annotations

import signal
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.sync.test_sync_equal import owed, owed_by_the_journal

if TYPE_CHECKING:
    from tests.crash.conftest import Spawn, Watching
    from tests.sync.conftest import Erp, Install, Start

pytestmark = pytest.mark.long

SMALL = {"history_months": 1, "page_size": 40}


@pytest.fixture(scope="module")
def erp(start: Start) -> Erp:
    return start("--items", "300", "--tenant", "acme").tenants["acme"]


@pytest.mark.parametrize("moment", ["reading", "publishing"])
def test_a_zombie_writes_nothing(
    moment: str, erp: Erp, install: Install, spawn: Spawn, watch: Watching
) -> None:
    installation = install()
    key = installation.connect(erp, "zombie", **SMALL)
    assert installation.hub.sync(key).verdict == "equal"
    erp.post(invoices=3, payments=2)
    syncing, watched = spawn(installation), watch(installation, key)
    syncing.begin(key, sweep=True)
    if moment == "reading":
        stopped = syncing.stop_when(watched, lambda look: look.state == "reading" and look.pages >= 5)
    else:
        with watch(installation, key).holding("bookmark"):
            stopped = syncing.stop_when(watched, lambda look: look.phase(1) == "publishing")
    watched.terminate(stopped.holder)

    result = installation.hub.sync(key, sweep=True)

    assert (result.run, result.state, result.verdict) == (stopped.number, "published", "equal")
    shown, runs = watched.visible(), watched.rows("run")
    syncing.process.send_signal(signal.SIGCONT)
    code, said, complaint = syncing.end()
    assert (code, said) == (1, ""), complaint
    assert watched.visible() == shown
    assert watched.rows("run") == runs
    assert watched.staged() == {}
    assert owed(partial(installation.of, key)) == owed_by_the_journal(erp)
    again = installation.hub.sync(key, sweep=False)
    assert (again.verdict, again.rows_staged) == ("equal", 0)
