"""The files of a folder that an ERP exports to, line by line as they are.

Refuses a path that leads through a link, anything but a regular file, a line over 1 MiB, and a file that was
changed or replaced while it was read: what was read of it may be of two moments.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from receivables.errors import HubError, Misconfigured, Rejected, Transient

MAX_LINE: Final = 1024 * 1024


def lines(folder: str, name: str, *, place: str) -> Iterator[bytes]:
    """The lines of a file with their ends; `place` begins every message.

    Raises Misconfigured (no folder, a link, no right), Rejected (a line too long) and Transient (not there,
    changed while it was read).
    """
    path = Path(folder, name)
    with _opened(path, place) as file:
        before = _mark(os.fstat(file.fileno()))
        try:
            while line := file.readline(MAX_LINE + 1):
                if len(line) > MAX_LINE:
                    raise Rejected(f"{place}: {path} has a line of more than {MAX_LINE} bytes.")
                yield line
            after = _mark(path.stat(follow_symlinks=False))
        except OSError as error:
            raise _failure(path, place, error) from error
    if after != before:
        raise Transient(
            f"{place}: {path} changed while it was read. The export may be under way; the next run reads it."
        )


def _opened(path: Path, place: str) -> BinaryIO:
    """The regular file at exactly this path; a pipe is not waited for."""
    if not path.parent.is_dir():
        raise Misconfigured(f"{place}: {path.parent} is no folder that can be read. Check `folder`.")
    if path.resolve() != path:
        raise Misconfigured(f"{place}: {path} leads through a link to {path.resolve()}. Name the real path.")
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _failure(path, place, error) from error
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise Misconfigured(f"{place}: {path} is not a regular file.")
    return os.fdopen(number, "rb")


def _mark(status: os.stat_result) -> tuple[int, int, int, int]:
    """What is another when the file was replaced or written to."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _failure(path: Path, place: str, error: OSError) -> HubError:
    if isinstance(error, FileNotFoundError):
        return Transient(f"{place}: {path} is not there. Has the export run?")
    if isinstance(error, PermissionError) or error.errno in (errno.ELOOP, errno.ENXIO):
        return Misconfigured(
            f"{place}: {path} cannot be opened ({error.strerror}). Check its kind and rights."
        )
    return Transient(f"{place}: {path} cannot be read now ({error.strerror}).")
