"""Checkpoints: a chain whose end was cut off, or that was replaced by another, is found and named."""

from __future__ import annotations

import dataclasses
import json
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from identity.authority import Authority
from identity.checkpoints import CheckpointFiles, signed, verified
from identity.errors import Denied
from identity.kinds import Basic
from identity.kms import LocalKms
from identity.secret import Key, Secret

AsRole = Callable[[str, int | None], AbstractContextManager[psycopg.Connection[Any]]]
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
KEY = Key(bytes(range(32)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints"


@pytest.fixture
def watched(database: Any, kms: LocalKms, folder: Path) -> Authority:
    """An authority with a place for checkpoints, and a chain of three entries."""
    authority = Authority(
        lambda: psycopg.connect(database.url("encours_identity")),
        kms,
        lambda: NOON,
        CheckpointFiles(folder),
    )
    for label in "abc":
        authority.credentials.create(1, Basic("U", Secret("p")), label=label, by="test")
    return authority


def as_owner(as_role: AsRole, *queries: str) -> None:
    """What somebody does who has the database and not the key service."""
    with as_role("encours_owner", 1) as connection:
        for table in ("audit_entry", "audit_chain"):
            connection.execute(f"alter table identity.{table} disable row level security".encode())
        for query in queries:
            connection.execute(query.encode())
        for table in ("audit_entry", "audit_chain"):
            connection.execute(f"alter table identity.{table} enable row level security".encode())


def test_a_checkpoint_is_signed_once_for_each_new_end(watched: Authority, folder: Path) -> None:
    made = watched.audit.checkpoint(1)
    assert made is not None
    assert (made.size, made.head) == (3, watched.audit.verify(1).head)
    assert watched.audit.checkpoint(1) is None, "nothing was added"
    watched.credentials.create(1, Basic("U", Secret("p")), label="d", by="test")
    again = watched.audit.checkpoint(1)
    assert again is not None
    assert again.size == 4
    file = folder / "tenant-1.jsonl"
    assert [json.loads(line)["size"] for line in file.read_text().splitlines()] == [3, 4]
    assert (stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(folder.stat().st_mode)) == (0o600, 0o700)
    shown = watched.audit.verify(1)
    assert (shown.intact, shown.entries, shown.checkpoint) == (True, 4, 4)


def test_anybody_can_verify_the_signature_with_the_public_key(watched: Authority) -> None:
    made = watched.audit.checkpoint(1)
    assert made is not None
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(made.public_key))
    public.verify(bytes.fromhex(made.signature), f"encours|1|3|{made.head}|{made.at}".encode())


def test_a_tenant_without_a_chain_has_no_checkpoint(watched: Authority, folder: Path) -> None:
    assert watched.audit.checkpoint(2) is None
    assert not (folder / "tenant-2.jsonl").exists()
    assert watched.audit.verify(2).intact


def test_a_tail_that_was_cut_off_is_found(watched: Authority, as_role: AsRole) -> None:
    watched.audit.checkpoint(1)
    as_owner(as_role, "delete from identity.audit_entry where sequence = 3")
    shown = watched.audit.verify(1)
    assert (shown.entries, shown.sequence, shown.fault, shown.checkpoint) == (2, 3, "cut", 3)
    with pytest.raises(Denied, match="ends at entry 2, its last checkpoint saw 3"):
        watched.audit.checkpoint(1)


def test_without_a_checkpoint_the_cut_would_not_be_seen(
    watched: Authority, as_role: AsRole, folder: Path
) -> None:
    """What makes checkpoints necessary: the rest of the chain is good in itself."""
    watched.audit.checkpoint(1)
    as_owner(as_role, "delete from identity.audit_entry where sequence = 3")
    (folder / "tenant-1.jsonl").unlink()
    shown = watched.audit.verify(1)
    assert (shown.intact, shown.entries, shown.checkpoint) == (True, 2, None)


def test_a_chain_in_place_of_another_is_found(watched: Authority, as_role: AsRole) -> None:
    """Even one that the program itself began anew, with a key of its own and more entries than before."""
    watched.audit.checkpoint(1)
    as_owner(as_role, "delete from identity.audit_entry", "delete from identity.audit_chain")
    for label in "defg":
        watched.credentials.create(1, Basic("U", Secret("p")), label=label, by="test")
    shown = watched.audit.verify(1)
    assert (shown.entries, shown.sequence, shown.fault) == (4, 3, "replaced")


def test_a_checkpoint_that_was_changed_proves_nothing(watched: Authority, folder: Path) -> None:
    made = watched.audit.checkpoint(1)
    assert made is not None
    forged = dataclasses.replace(made, size=2)
    assert not verified(KEY, forged)
    CheckpointFiles(folder).add(dataclasses.replace(made, signature="00" * 64))
    assert watched.audit.verify(1).fault == "replaced"


@pytest.mark.parametrize("line", ["", "{}", "[]", "nonsense", '{"size": -1}', "[" * 100_000])
def test_a_line_that_is_no_checkpoint_is_refused(folder: Path, line: str) -> None:
    files = CheckpointFiles(folder)
    files.add(signed(KEY, 1, 3, bytes(32), NOON))
    path = folder / "tenant-1.jsonl"
    path.write_text(path.read_text() + line + "\n")
    if not line:
        assert files.last(1) == signed(KEY, 1, 3, bytes(32), NOON), "an empty line is no line"
        return
    with pytest.raises(Denied, match="is no checkpoint"):
        files.last(1)


def test_a_line_that_a_crash_cut_off_does_not_count(folder: Path) -> None:
    files = CheckpointFiles(folder)
    first = signed(KEY, 1, 3, bytes(32), NOON)
    files.add(first)
    path = folder / "tenant-1.jsonl"
    path.write_text(path.read_text() + '{"size": 4, "te')
    assert files.last(1) == first


def test_a_place_that_cannot_be_written_is_said(folder: Path) -> None:
    folder.write_text("a file stands there")
    with pytest.raises(Denied, match="checkpoints"):
        CheckpointFiles(folder).add(signed(KEY, 1, 3, bytes(32), NOON))
