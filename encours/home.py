"""The home folder's own rules: who may enter what is below it, and files that are whole or not there.

Never changes the mode of a folder that it did not make, but for the one it was asked for.
"""

from __future__ import annotations

import os
from pathlib import Path

from receivables.errors import Misconfigured


def make_folder(folder: Path, mode: int, *, uid: int | None = None, gid: int = -1) -> None:
    """Makes a folder of exactly this mode, whatever the umask; parents that it has to make are open to all.

    `uid` gives it to another user. Raises Misconfigured if it is somebody else's already, or a link.
    """
    try:
        for parent in reversed(folder.parents):
            if not parent.exists():
                parent.mkdir()
                parent.chmod(0o755)
        if not folder.exists():
            folder.mkdir(mode=0o700)
            if uid is not None:
                os.chown(folder, uid, gid)
        owner = os.geteuid() if uid is None else uid
        if folder.is_symlink() or not folder.is_dir() or folder.lstat().st_uid != owner:
            raise Misconfigured(f"{folder} is somebody else's, or no folder. Remove it, or set ENCOURS_HOME.")
        folder.chmod(mode)
    except OSError as error:
        raise Misconfigured(
            f"{folder} cannot be made: {error.strerror}. Set ENCOURS_HOME to another one."
        ) from error


def write_private(file: Path, text: str, *, uid: int | None = None, gid: int = -1) -> None:
    """Writes the whole file or nothing, readable by its owner only; `uid` gives it to another user."""
    draft = file.with_name(file.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
    if uid is not None:
        os.chown(draft, uid, gid)
    draft.rename(file)
