"""Syncs in processes of their own, watched from the database, so that they can be killed at a chosen moment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import class_row, dict_row

from encours.postgres import SUPERUSER
from tests.sync.conftest import VISIBLE, Installation, install, start, starting

__all__ = [
    "Installation", "Look", "Phase", "Spawn", "Syncing", "Watch", "Watching", "install", "start", "starting",
]  # fmt: skip

Phase = Literal["starting", "reading", "staging", "comparing", "publishing", "clearing", "published"]

# Ready before it is told what to do, so that a moment is one of the sync and not of Python's start.
PROGRAM = """
import json, sys
from encours.hub import Hub

hub = Hub.from_environment()
print("ready", flush=True)
key, sweep = json.loads(sys.stdin.readline())
print(hub.sync(key, sweep=sweep).state, flush=True)
"""

LOOK = """
select %(connector)s as connector_id, r.number, r.state, l.pid is not null as locked, l.pid as holder,
       a.backend_xid is not null as writing,
       (select count(*) from receivables.page p where p.run_id = r.run_id) as pages,
       exists (select from receivables.staged_control_total t
               where t.run_id = r.run_id and t.at = 'after') as compared
from (select 1) as always
left join receivables.run r
    on r.connector_id = %(connector)s and r.number = (
        select max(number) from receivables.run last where last.connector_id = %(connector)s)
left join pg_locks l
    on l.locktype = 'advisory' and l.granted and l.objid = %(connector)s
   and l.database = (select oid from pg_database where datname = current_database())
   and l.classid = (hashtext('receivables.connector')::bigint & 4294967295)::oid
left join pg_stat_activity a on a.pid = l.pid
"""
UNLOGGED = """
select relname from pg_class
where relnamespace = 'receivables'::regnamespace and relkind = 'r' and relpersistence = 'u'
"""
PAUSE = 0.0005  # seconds between two looks
PATIENCE = 60.0  # seconds until a moment that does not come is an error
RECOVERY = 60.0  # seconds, as promised, from when what was away is back to the next publication


@dataclass(frozen=True)
class Look:
    """A connector's latest run as the database shows it, and what its lock's holder is doing right now."""

    connector_id: int
    number: int | None
    state: str | None
    locked: bool
    holder: int | None  # the server's process that holds the lock
    writing: bool
    pages: int
    compared: bool

    def phase(self, since: int | None) -> Phase:
        """Where a sync is that began when the latest run was number `since`."""
        if self.number is None or (self.number == since and self.state != "reading"):
            return "starting"
        if self.state != "reading":
            return "clearing" if self.pages else "published"
        if self.writing:
            return "publishing" if self.compared else "staging"
        return "comparing" if self.compared else "reading"


class Watch:
    """Looks at one connector's run again and again."""

    def __init__(self, connection: psycopg.Connection[Any], key: str, connector_id: int) -> None:
        self.key = key
        self._connection = connection
        self._cursor = connection.cursor(row_factory=class_row(Look))
        self.connector_id = connector_id

    def look(self) -> Look:
        """The run as it is now."""
        found = self._cursor.execute(LOOK, {"connector": self.connector_id}, prepare=True).fetchone()
        assert found is not None
        return found

    def until(self, reached: Callable[[Look], bool]) -> Look:
        """Looks until it is so."""
        deadline = time.monotonic() + PATIENCE
        while not reached(look := self.look()):
            assert time.monotonic() < deadline, f"still {look}"
            time.sleep(PAUSE)
        return look

    def rows(self, table: str) -> list[dict[str, Any]]:
        """The connector's rows of a table in `receivables`."""
        query = sql.SQL("select * from {} where connector_id = %s").format(
            sql.Identifier("receivables", table)
        )
        with self._connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query, [self.connector_id]).fetchall()

    def visible(self) -> dict[str, list[str]]:
        """All that readers see of the connector."""
        return {table: sorted(map(repr, self.rows(table))) for table in VISIBLE}

    def terminate(self, holder: int | None) -> None:
        """Ends the server's side of a run's connection, as when the network is gone for long; its lock is free."""
        self._connection.execute("select pg_terminate_backend(%s)", [holder])
        self.until(lambda look: not look.locked)

    def publication(self) -> dict[str, Any]:
        """The latest publication."""
        return max(self.rows("publication"), key=lambda row: row["number"])

    @contextmanager
    def holding(self, table: str) -> Iterator[None]:
        """Nobody writes into this table meanwhile: who wants to, waits."""
        locking = sql.SQL("lock table {} in share mode").format(sql.Identifier("receivables", table))
        with self._connection.transaction():
            self._connection.execute(locking)
            yield

    def staged(self) -> dict[str, int]:
        """The tables that hold staged rows, of whichever run, and how many each."""
        tables = self._connection.execute(UNLOGGED).fetchall()
        assert len(tables) >= 10
        counts = {}
        for (name,) in tables:
            counting = sql.SQL("select count(*) from {}").format(sql.Identifier("receivables", name))
            ((counts[name],),) = self._connection.execute(counting).fetchall()
        return {name: count for name, count in counts.items() if count}


@dataclass
class Syncing:
    """A process that syncs one connector once it is told which."""

    process: subprocess.Popen[str]

    def begin(self, key: str, *, sweep: bool | None = None) -> float:
        """Waits until the process has started, and lets it sync; the monotonic second in which it begins."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"
        self.process.stdin.write(json.dumps([key, sweep]) + "\n")
        self.process.stdin.flush()
        return time.monotonic()

    def stop_when(self, watch: Watch, wanted: Callable[[Look], bool]) -> Look:
        """Stops the process in a moment like this; nothing goes on until it is killed or continued.

        What is seen of a running process may be over when a signal arrives: it is looked at again.
        """
        while True:
            watch.until(wanted)
            self.process.send_signal(signal.SIGSTOP)
            if wanted(look := watch.look()):
                return look
            self.process.send_signal(signal.SIGCONT)

    def end(self) -> tuple[int, str, str]:
        """Exit code, state of the run, and what it complained about."""
        said, complaint = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, said.strip(), complaint


class Spawn(Protocol):
    """Starts a process that waits to be told what to sync; further variables go to its environment."""

    def __call__(self, installation: Installation, **environment: str) -> Syncing: ...


Watching = Callable[[Installation, str], Watch]


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """Starts processes that wait to be told what to sync; none of them outlives the test."""
    started: list[subprocess.Popen[str]] = []

    def spawned(installation: Installation, **environment: str) -> Syncing:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, **installation.environment, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return Syncing(process)

    yield spawned
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def watch() -> Iterator[Watching]:
    """Watches connectors as the server's owner, before whom no row is hidden."""
    opened: list[psycopg.Connection[Any]] = []

    def watching(installation: Installation, key: str) -> Watch:
        database = installation.database
        address = database.postgres.url(SUPERUSER, database.name)
        opened.append(psycopg.connect(address, autocommit=True))
        return Watch(opened[-1], key, installation.hub.registry.connector(key).connector_id)

    yield watching
    for connection in opened:
        connection.close()
