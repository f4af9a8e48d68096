"""The user that the embedded PostgreSQL runs as: ourselves, or `encours` when we are root.

PostgreSQL refuses to run as root. Never changes a permission to make something reachable: what the user
cannot reach is copied below the home folder (programs) or refused (the home itself).
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from receivables.errors import Misconfigured

NAME = "encours"


class Ids(TypedDict, total=False):
    """The user and group of a file."""

    uid: int
    gid: int


@dataclass(frozen=True)
class ServerUser:
    """`own` is True when the server's user is not ours but one of its own."""

    uid: int
    gid: int
    own: bool

    @property
    def ids(self) -> Ids:
        """To whom its files are given: nobody when they are ours anyway."""
        return {"uid": self.uid, "gid": self.gid} if self.own else {}

    def check_reach(self, home: Path) -> None:
        """Raises Misconfigured, naming the folder in the way, unless the user can enter the home folder."""
        if self.own and (closed := _closed_folder(home)):
            raise Misconfigured(
                f"The home folder {home} is in {closed}, which only its owner may enter; started by root, "
                f"the database runs as the user {NAME}. Take another home: ENCOURS_HOME=/var/lib/encours"
            )

    def reachable(self, programs: Path, copies: Path) -> Path:
        """A bin folder that the user can run: `programs`, or a copy of the installation below `copies`."""
        if not self.own or (_closed_folder(programs) is None and _open_to_all(programs / "postgres")):
            return programs
        installed = programs.parent
        status = (programs / "postgres").stat()
        copy = copies / f"{installed.name}-{status.st_size}-{status.st_mtime_ns}"
        if not copy.exists():
            draft = copies / "unfinished"
            shutil.rmtree(draft, ignore_errors=True)
            shutil.copytree(installed, draft / "package" / installed.name, ignore=_not_to_run)
            libraries = installed.parent.with_name(installed.parent.name + ".libs")
            if (
                libraries.is_dir()
            ):  # beside the package in a wheel (auditwheel), found relative to the programs
                shutil.copytree(libraries, draft / libraries.name)
            (draft / "package").rename(draft / installed.parent.name)
            _open(copies)
            draft.rename(copy)
        return copy / installed.parent.name / installed.name / programs.name

    def run(self, command: Sequence[str | Path], *, cwd: Path) -> None:
        """Runs a program to its end as this user; raises Misconfigured with what it said when it fails."""
        done = subprocess.run(
            command,
            check=False,
            cwd=cwd,
            capture_output=True,
            text=True,
            env=_environment(),
            umask=0o077,
            **self._as(),
        )
        if done.returncode != 0:
            raise Misconfigured(
                f"{Path(command[0]).name} failed ({done.returncode}): {done.stderr.strip()[-2000:]}"
            )

    def start(self, command: Sequence[str | Path], *, cwd: Path, log: Path) -> subprocess.Popen[bytes]:
        """Starts a program as this user in a session of its own; what it says is added to the log."""
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as said:
            return subprocess.Popen(
                command,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
                env=_environment(),
                umask=0o077,
                **self._as(),
            )

    def _as(self) -> dict[str, Any]:
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.own else {}


def current_or_own() -> ServerUser:
    """Ourselves; as root the user `encours`, made if it is missing (Misconfigured when that fails)."""
    if os.geteuid() != 0:
        return ServerUser(os.geteuid(), os.getegid(), own=False)
    try:
        entry = pwd.getpwnam(NAME)
    except KeyError:
        entry = _add_user()
    return ServerUser(entry.pw_uid, entry.pw_gid, own=True)


def _add_user() -> pwd.struct_passwd:
    program = shutil.which("useradd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    advice = (
        f"Add it yourself (useradd --system --user-group {NAME}), or start Encours as another user than root."
    )
    if program is None:
        raise Misconfigured(
            f"PostgreSQL does not run as root, and there is no useradd to add the user {NAME}. {advice}"
        )
    command = [program, "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    done = subprocess.run(
        [*command, "--shell", "/usr/sbin/nologin", NAME], check=False, capture_output=True, text=True
    )
    try:
        return pwd.getpwnam(NAME)  # also when another process was faster
    except KeyError:
        raise Misconfigured(f"The user {NAME} could not be added: {done.stderr.strip()}. {advice}") from None


def _environment() -> dict[str, str]:
    """Nothing of ours but what a program needs: PG* variables would change what the server does."""
    return {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}


def _closed_folder(path: Path) -> Path | None:
    """The first folder on the way to `path` (itself included) that other users cannot enter."""
    for folder in (*reversed(path.parents), path):
        if not folder.stat().st_mode & stat.S_IXOTH:
            return folder
    return None


def _open_to_all(file: Path) -> bool:
    needed = stat.S_IROTH | stat.S_IXOTH
    return file.stat().st_mode & needed == needed


def _not_to_run(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name in ("include", "pkgconfig", "__pycache__") or name.endswith(".a")]


def _open(folder: Path) -> None:
    """Lets every user read and run what is in it, whatever the umask was when it was installed."""
    for parent, _folders, files in os.walk(folder):
        Path(parent).chmod(0o755)
        for file in files:
            path = Path(parent, file)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)
