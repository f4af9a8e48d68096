"""The key service of an installation without one: keys in a local file of mode 0600.

Refuses a file that others can read, a file that is not this installation's, and to make a new key where
something has been sealed with one that is gone. Who needs more gives another implementation of `ports.Kms`.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import hashlib
import json
import os
import secrets
import stat
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from identity.errors import Denied
from identity.ports import Wrapped
from identity.secret import Key

KEY_BYTES = 32
NONCE_BYTES = 12
MOST_BYTES = 65_536


class _Ring(NamedTuple):
    current: str
    keys: dict[str, Key]


class LocalKms:
    """Wraps data keys with AES-256-GCM (NIST SP 800-38D) under the keys of one file.

    The file is JSON: `{"current": version, "keys": {version: base64 of 32 bytes}}`. A version's name
    carries a fingerprint of its key, so that a key is never taken for another one of the same number.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __repr__(self) -> str:
        return f"LocalKms({str(self._path)!r})"

    def wrap(self, data_key: Key, context: bytes, known: Collection[str]) -> Wrapped:
        """Wraps with the current key; makes the file on the very first use, when `known` is empty."""
        if not known and not self._path.exists():
            self._create()
        ring = self._with(known)
        nonce = secrets.token_bytes(NONCE_BYTES)
        cipher = AESGCM(ring.keys[ring.current].reveal())
        return Wrapped(
            ring.current, nonce + cipher.encrypt(nonce, data_key.reveal(), _bound(context, ring.current))
        )

    def unwrap(self, wrapped: Wrapped, context: bytes) -> Key:
        """The data key; raises Denied, naming the key file or saying that the row was changed."""
        ring = self._read()
        if wrapped.version not in ring.keys:
            raise self._lacks(wrapped.version)
        nonce, sealed = wrapped.ciphertext[:NONCE_BYTES], wrapped.ciphertext[NONCE_BYTES:]
        cipher = AESGCM(ring.keys[wrapped.version].reveal())
        try:
            return Key(cipher.decrypt(nonce, sealed, _bound(context, wrapped.version)))
        except (InvalidTag, ValueError):
            raise Denied("sealed_changed", "The wrapped key of a sealed row was changed or moved.") from None

    def current(self) -> str:
        """The version that wraps from now on."""
        return self._read().current

    def rotate(self, known: Collection[str]) -> str:
        """Adds a key to the file and makes it the current one; the file is whole before and after.

        The older keys stay in the file: rows and backups that they sealed still open.
        """
        with self._alone():
            ring = self._with(known)
            key = secrets.token_bytes(KEY_BYTES)
            number = 1 + max(int(version.partition("-")[0]) for version in ring.keys)
            version = _version(str(number), key)
            self._replace(_content({**ring.keys, version: Key(key)}, version))
        return version

    def _with(self, known: Collection[str]) -> _Ring:
        """The keys; raises Denied if one of those known is not among them."""
        ring = self._read()
        lacking = set(known) - ring.keys.keys()
        if lacking:
            raise self._lacks(min(lacking))
        return ring

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else rotates meanwhile: of two new keys that were written at once, one would be lost."""
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def _lacks(self, version: str) -> Denied:
        return Denied(
            "key_unknown",
            f"{self._path} lacks the key {version}, which this installation has sealed with. "
            "Put the right key file back from your backup.",
        )

    def _read(self) -> _Ring:
        ring = _parsed(self._content())
        if ring is None:
            raise Denied(
                "key_file_unreadable",
                f"The key file {self._path} is damaged. Put it back from your backup (mode 0600).",
            )
        return ring

    def _content(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                self._refuse_if_open_to_others(os.fstat(file.fileno()).st_mode)
                return file.read(MOST_BYTES + 1)
        except FileNotFoundError:
            raise Denied(
                "key_file_missing",
                f"The key file {self._path} is gone, and secrets were sealed with it. Put it back from your "
                "backup (mode 0600). Without it they cannot be opened: the operating guide says how to "
                "begin again.",
            ) from None
        except OSError as error:
            raise Denied("key_file_unreadable", f"The key file {self._path}: {error.strerror}.") from None

    def _refuse_if_open_to_others(self, mode: int) -> None:
        if not stat.S_ISREG(mode):
            raise Denied("key_file_unreadable", f"The key file {self._path} is not a regular file.")
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise Denied(
                "key_file_open",
                f"The key file {self._path} has mode {stat.S_IMODE(mode):04o}: other users can reach it. "
                f"Type: chmod 600 '{self._path}'",
            )

    def _create(self) -> None:
        # Of two first users the second keeps the other's key.
        key = secrets.token_bytes(KEY_BYTES)
        version = _version("1", key)
        with self._aside(_content({version: Key(key)}, version)) as aside, suppress(FileExistsError):
            os.link(aside, self._path)

    def _replace(self, content: bytes) -> None:
        with self._aside(content) as aside:
            aside.rename(self._path)

    @contextmanager
    def _aside(self, content: bytes) -> Iterator[Path]:
        """A whole new file beside the key file, which is then put in its place: whole or not at all."""
        try:
            handle, name = tempfile.mkstemp(prefix=f".{self._path.name}-", dir=self._path.parent)
            aside = Path(name)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                yield aside
            finally:
                aside.unlink(missing_ok=True)
            _sync(self._path.parent)
        except OSError as error:
            raise Denied(
                "key_file_unwritable",
                f"The key file {self._path} cannot be written: {error.strerror}. Its folder must exist and "
                "be writable.",
            ) from None


def _content(keys: Mapping[str, Key], current: str) -> bytes:
    told = {version: base64.b64encode(key.reveal()).decode("ascii") for version, key in keys.items()}
    return json.dumps({"current": current, "keys": told}).encode()


def _parsed(content: bytes) -> _Ring | None:
    try:
        told = json.loads(content)
        keys = {version: base64.b64decode(text, validate=True) for version, text in told["keys"].items()}
        current = told["current"]
        sound = current in keys and all(_sound(version, key) for version, key in keys.items())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error):
        return None
    return _Ring(current, {version: Key(key) for version, key in keys.items()}) if sound else None


def _sound(version: str, key: bytes) -> bool:
    return len(key) == KEY_BYTES and version == _version(version.partition("-")[0], key)


def _sync(folder: Path) -> None:
    """Puts the folder's new entry on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _version(number: str, key: bytes) -> str:
    return f"{number}-{hashlib.sha256(b'encours key version' + key).hexdigest()[:12]}"


def _bound(context: bytes, version: str) -> bytes:
    return context + b"|" + version.encode()
