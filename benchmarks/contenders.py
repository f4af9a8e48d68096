"""The two that are measured, each with a PostgreSQL server of its own, and how each is run once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from benchmarks.measure import Cost, measured
from encours.postgres import Postgres

OURS, PEER = "ours", "dlt"

# Given a new folder and the address that all cases are served at: what runs the next case.
Contender = Callable[[Path, str], AbstractContextManager[Callable[[], Cost]]]


@contextmanager
def ours(folder: Path, server: str) -> Iterator[Callable[[], Cost]]:
    """The product as it is installed: its registry, its vault, its hub, one connector."""
    client = [sys.executable, "-m", "benchmarks.client", str(folder)]
    with Postgres(folder) as postgres:
        subprocess.run([*client, "prepare", server], check=True)
        yield lambda: measured([*client, "sync"], postmaster(postgres), os.environ)


@contextmanager
def peer(folder: Path, server: str) -> Iterator[Callable[[], Cost]]:
    """A pipeline of dlt into a database of its own; its address travels in dlt's own variable."""
    with Postgres(folder) as postgres:
        # dlt insists on a host before the query, where libpq looks for the socket's folder.
        address = postgres.url("encours_owner", "encours").replace("@/", "@localhost/")
        environment = os.environ | {"DESTINATION__POSTGRES__CREDENTIALS": address}
        command = [sys.executable, "-m", "benchmarks.peer", server, str(folder / "pipelines")]
        yield lambda: measured(command, postmaster(postgres), environment)


def postmaster(postgres: Postgres) -> int:
    """The process id of a running server."""
    return int((postgres.data / "postmaster.pid").read_text(encoding="ascii").splitlines()[0])


CONTENDERS: dict[str, Contender] = {OURS: ours, PEER: peer}
