"""The database server killed in mid-read and in mid-publish, a full disk, and what a second process finds while a sync is stopped or just gone.

The server that is killed is one of its own, durable as in production: unlogged staging vanishes with it.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import psycopg
import pytest

from encours.hub import Hub
from encours.migrations import upgrade
from encours.postgres import Postgres
from encours.settings import Settings
from receivables.errors import Conflict, Transient
from tests.conftest import Database
from tests.crash.conftest import RECOVERY
from tests.sync.conftest import LOOPBACK, Installation
from tests.sync.test_sync_equal import owed, owed_by_the_journal

if TYPE_CHECKING:
    from tests.crash.conftest import Spawn, Watch, Watching
    from tests.sync.conftest import Erp, Install, Start

pytestmark = pytest.mark.long

SMALL = {"history_months": 1, "page_size": 40}


@pytest.fixture(scope="module")
def erp(start: Start) -> Erp:
    return start("--items", "300", "--tenant", "acme").tenants["acme"]


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A running server of this module's own."""
    folder = Path(tempfile.mkdtemp(prefix="encours-", dir="/tmp"))
    folder.chmod(0o711)
    with Postgres(folder / "home") as postgres:
        upgrade(postgres.url("encours_owner", "encours"))
        yield postgres
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def own(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """An installation on the server that will be killed."""
    home, database = tmp_path_factory.mktemp("home"), Database(server, "encours")
    environment = database.environment() | {"ENCOURS_HOME": str(home), "ENCOURS_PRIVATE_NETWORKS": LOOPBACK}
    values = {name.removeprefix("ENCOURS_").lower(): value for name, value in environment.items()}
    return Installation(Hub(Settings(**values)), database, environment)


@pytest.mark.parametrize("mode", ["snapshot", "sweep"])
def test_a_killed_database_server_costs_what_was_read_and_nothing_else(
    mode: str, erp: Erp, own: Installation, spawn: Spawn, watch: Watching
) -> None:
    key = own.connect(erp, f"killed-{mode}", **SMALL)
    if mode == "sweep":
        assert own.hub.sync(key).verdict == "equal"
        erp.post(invoices=2, payments=1, resets=1)
    before, syncing = own.visible(key), spawn(own)
    syncing.begin(key, sweep=mode == "sweep")
    killed = watch(own, key).until(lambda look: look.state == "reading" and look.pages >= 10)

    kill(own.database.postgres)

    code, said, complaint = syncing.end()
    assert (code, said) == (1, "")
    assert "Transient: The hub's database does not answer." in complaint
    own.database.postgres.start()
    back = time.monotonic()
    watched = watch(own, key)
    left = watched.look()
    assert (left.number, left.state, left.pages) == (killed.number, "reading", 0)
    assert watched.staged() == {}
    assert own.visible(key) == before

    result = own.hub.sync(key, sweep=mode == "sweep")

    assert time.monotonic() - back <= RECOVERY
    assert (result.state, result.verdict, result.mode) == ("published", "equal", mode)
    (lost,) = own.of(key, "run", "state = 'superseded'")
    assert (lost["number"], lost["message"]) == (killed.number, "What it had read was lost in a crash.")
    assert result.run == lost["number"] + 1
    assert owed(partial(own.of, key)) == owed_by_the_journal(erp)
    assert watched.staged() == {}


def test_a_server_killed_in_the_middle_of_publishing_has_published_nothing(
    erp: Erp, own: Installation, spawn: Spawn, watch: Watching
) -> None:
    key = own.connect(erp, "killed-publishing", **SMALL)
    assert own.hub.sync(key).verdict == "equal"
    erp.post(invoices=2, payments=1)
    before, syncing = own.visible(key), spawn(own)
    watched, holder = watch(own, key), watch(own, key)
    with suppress(psycopg.OperationalError), holder.holding("bookmark"):
        syncing.begin(key, sweep=False)
        watched.until(lambda look: look.phase(1) == "publishing")
        kill(own.database.postgres)

    code, said, _ = syncing.end()
    assert (code, said) == (1, "")
    own.database.postgres.start()
    back = time.monotonic()
    assert own.visible(key) == before
    check_the_next_run(erp, own, watch(own, key), back)


def test_a_full_disk_publishes_nothing_and_is_over_when_there_is_room(
    erp: Erp, own: Installation, spawn: Spawn, watch: Watching
) -> None:
    """No byte more may be written by the server's process: to PostgreSQL that is a disk without room."""
    key = own.connect(erp, "full", **SMALL)
    assert own.hub.sync(key).verdict == "equal"
    erp.post(invoices=2, payments=1)
    before, syncing, watched = own.visible(key), spawn(own), watch(own, key)
    syncing.begin(key, sweep=True)
    look = syncing.stop_when(watched, lambda look: look.state == "reading" and look.pages >= 5)
    assert look.holder is not None
    holder = psutil.Process(look.holder)
    user, group = holder.uids().real, holder.gids().real  # who alone may take room from it
    words = ["prlimit", f"--pid={look.holder}", "--fsize=0:0"]
    subprocess.run(words, check=True, user=user, group=group)
    syncing.process.send_signal(signal.SIGCONT)

    code, said, complaint = syncing.end()

    assert (code, said) == (1, ""), complaint
    back = time.monotonic()
    again = wait_for(own, key, watch)
    assert own.visible(key) == before
    check_the_next_run(erp, own, again, back)


def wait_for(own: Installation, key: str, watch: Watching) -> Watch:
    """A watch of the connector once the server answers: a process that cannot write its log takes all with it."""
    for _ in range(120):
        try:
            watched = watch(own, key)
            watched.look()
        except (psycopg.OperationalError, Transient):
            time.sleep(0.5)
        else:
            return watched
    raise AssertionError("the server does not answer within a minute")


def check_the_next_run(erp: Erp, own: Installation, watched: Watch, back: float) -> None:
    """It ends in time, as if nothing had happened, and one more has nothing to do.

    `back` is the monotonic second in which the server, or the room on its disk, was there again.
    """
    result = own.hub.sync(watched.key, sweep=True)
    assert time.monotonic() - back <= RECOVERY
    assert (result.state, result.verdict) == ("published", "equal"), result.explanation
    assert owed(partial(own.of, watched.key)) == owed_by_the_journal(erp)
    assert watched.staged() == {}
    again = own.hub.sync(watched.key, sweep=False)
    assert (again.verdict, again.rows_staged) == ("equal", 0)


def kill(server: Postgres) -> None:
    """SIGKILL to every process of this server, and its end is waited for."""
    postmaster = psutil.Process(int((server.data / "postmaster.pid").read_text().splitlines()[0]))
    family = [postmaster, *postmaster.children(recursive=True)]
    for process in family:
        process.kill()
    server.stop()  # nothing is left to stop: it waits for its child
    psutil.wait_procs(family, timeout=20)
    assert not server.running()


def test_of_two_syncs_at_once_one_wins_and_the_other_says_since_when(
    erp: Erp, install: Install, spawn: Spawn, watch: Watching
) -> None:
    installation = install()
    key = installation.connect(erp, "twice", **SMALL)
    syncing, watched = spawn(installation), watch(installation, key)
    syncing.begin(key)
    watched.until(lambda look: look.state == "reading" and look.pages >= 10)
    syncing.process.send_signal(signal.SIGSTOP)
    stopped = watched.look()
    (run,) = installation.of(key, "run")

    with pytest.raises(Conflict) as refused:
        installation.hub.sync(key)

    assert str(refused.value) == (
        f"{key} is running since {run['opened_at']:%Y-%m-%d %H:%M} UTC. Wait for it to end."
    )
    assert watched.look() == stopped
    syncing.process.send_signal(signal.SIGCONT)
    assert syncing.end()[:2] == (0, "published")
    assert [row["state"] for row in installation.of(key, "run")] == ["published"]
    assert owed(partial(installation.of, key)) == owed_by_the_journal(erp)


def test_business_between_a_kill_and_the_next_run_is_not_taken_for_a_difference(
    erp: Erp, install: Install, spawn: Spawn, watch: Watching
) -> None:
    installation = install()
    key = installation.connect(erp, "later", **SMALL)
    assert installation.hub.sync(key).verdict == "equal"
    before, syncing, watched = installation.visible(key), spawn(installation), watch(installation, key)
    syncing.begin(key, sweep=True)
    watched.until(lambda look: look.state == "reading" and look.pages >= 10)
    syncing.process.kill()
    assert syncing.end()[0] == -signal.SIGKILL
    watched.until(lambda look: not look.locked)
    erp.post(invoices=2, payments=1)

    assert installation.visible(key) == before
    assert installation.hub.sync(key, sweep=True).verdict == "equal"
    assert [row["state"] for row in installation.of(key, "run")] == ["published", "published"]
    assert owed(partial(installation.of, key)) == owed_by_the_journal(erp)
    assert watched.staged() == {}
