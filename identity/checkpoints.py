"""Signed checkpoints of the audit: how long a chain was and how it ended, kept outside of the database.

No chain can see that its own end was cut off, or that all of it was replaced: a checkpoint can, as long as
whoever writes to the database does not also write to the file and hold the key service's keys. It is signed
with an Ed25519 key (RFC 8032) that follows from the chain's own key (HKDF, RFC 5869), so that it proves the
chain that it belongs to; the public key stands beside each signature. Refuses a line that is no checkpoint.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from identity.errors import Denied
from identity.secret import Key

PURPOSE: Final = b"encours audit checkpoint"
KEY_BYTES: Final = 32
BLOCK: Final = 4096  # a line is far shorter
HEX: Final = re.compile("[0-9a-f]+")


@dataclass(frozen=True)
class Checkpoint:
    """A chain of `size` entries ended with the mac `head` (hex) at this moment (ISO 8601, UTC)."""

    tenant: int
    size: int
    head: str
    at: str
    public_key: str
    signature: str

    def content(self) -> bytes:
        """What is signed."""
        return f"encours|{self.tenant}|{self.size}|{self.head}|{self.at}".encode()


def signed(key: Key, tenant_id: int, size: int, head: bytes, at: datetime) -> Checkpoint:
    """The checkpoint of a chain with this key that has so many entries and ends with this mac."""
    private = _private(key)
    draft = Checkpoint(
        tenant=tenant_id,
        size=size,
        head=head.hex(),
        at=at.astimezone(UTC).isoformat(timespec="seconds"),
        public_key=private.public_key().public_bytes_raw().hex(),
        signature="",
    )
    return Checkpoint(**{**asdict(draft), "signature": private.sign(draft.content()).hex()})


def verified(key: Key, checkpoint: Checkpoint) -> bool:
    """Whether the checkpoint was signed for the chain with this key."""
    try:
        _private(key).public_key().verify(bytes.fromhex(checkpoint.signature), checkpoint.content())
    except (InvalidSignature, ValueError):
        return False
    return True


class CheckpointFiles:
    """One file of JSON lines per tenant in a folder: appended to, mode 0600, each line synced."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, checkpoint: Checkpoint) -> None:
        """Appends; raises Denied where the file cannot be written."""
        line = json.dumps(asdict(checkpoint), sort_keys=True) + "\n"
        path = self._path(checkpoint.tenant)
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "ab") as file:
                file.write(line.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise Denied("checkpoint_unwritable", f"{path}: {error.strerror}.") from None

    def last(self, tenant_id: int) -> Checkpoint | None:
        """The last whole line; a line cut off by a crash does not count. Raises Denied if it is none."""
        path = self._path(tenant_id)
        line = _last_line(path)
        return None if line is None else _parsed(line, path)

    def _path(self, tenant_id: int) -> Path:
        return self._folder / f"tenant-{tenant_id}.jsonl"


def _last_line(path: Path) -> bytes | None:
    """The last whole line of a file, if it has one."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - BLOCK))
            lines = file.read().split(b"\n")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Denied("checkpoint_unreadable", f"{path}: {error.strerror}.") from None
    return next((line for line in reversed(lines[:-1]) if line), None)


def _parsed(line: bytes, path: Path) -> Checkpoint:
    try:
        told = json.loads(line)
        checkpoint = Checkpoint(**told)
        sound = (
            type(checkpoint.tenant) is type(checkpoint.size) is int
            and checkpoint.size > 0
            and all(HEX.fullmatch(told[name]) for name in ("head", "public_key", "signature"))
        )
    except (ValueError, TypeError, RecursionError):
        sound = False
    if not sound:
        raise Denied(
            "checkpoint_unreadable",
            f"The last line of {path} is no checkpoint. Somebody wrote to the file: put it back from your "
            "backup, then type: encours audit verify",
        )
    return checkpoint


def _private(key: Key) -> Ed25519PrivateKey:
    seed = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=PURPOSE).derive(key.reveal())
    return Ed25519PrivateKey.from_private_bytes(seed)
