"""What it costs to prove an audit: every entry of one tenant's chain, read from the database and checked.

The entries are told as the product tells them, which takes minutes; wall-clock seconds of one whole proof.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final
from uuid import UUID

import psycopg

from encours.migrations import upgrade
from encours.postgres import Postgres
from identity.authority import Authority
from identity.checkpoints import CheckpointFiles
from identity.kms import LocalKms
from identity.ports import Database
from identity.transaction import of_tenant
from receivables.store import utc_now

ENTRIES: Final = 100_000
AT_ONCE: Final = 1_000  # entries of one transaction
TENANT: Final = 1


@contextmanager
def new_database(folder: Path) -> Iterator[Database]:
    """A database of a server in this folder, as the identity role sees it."""
    with Postgres(folder) as postgres:
        upgrade(postgres.url("encours_owner", "encours"))
        yield partial(psycopg.connect, postgres.url("encours_identity", "encours"))


def seconds(database: Database, folder: Path, entries: int = ENTRIES) -> float:
    """How long the proof takes, with key and checkpoints in this folder; RuntimeError if it does not hold."""
    authority = Authority(
        database, LocalKms(folder / "key"), utc_now, CheckpointFiles(folder / "checkpoints")
    )
    fill(authority, database, entries)
    authority.audit.checkpoint(TENANT)
    began = time.perf_counter()
    shown = authority.audit.verify(TENANT)
    took = time.perf_counter() - began
    if not (shown.intact and shown.entries == shown.checkpoint == entries):
        raise RuntimeError(f"The audit that was just written does not hold: {shown}.")
    return took


def fill(authority: Authority, database: Database, entries: int) -> None:
    """Tells so many entries."""
    credential = UUID(int=1)
    for first in range(0, entries, AT_ONCE):
        with of_tenant(database, TENANT) as connection:
            for run in range(first, min(first + AT_ONCE, entries)):
                authority.audit.tell(
                    connection,
                    tenant_id=TENANT,
                    event="issued",
                    credential_id=credential,
                    by="bench",
                    facts={"run": run},
                )
