"""The processes that `up` starts: each in a session of its own, and written down.

Should we be killed, the next start finds what is left by the record and ends it. Never signals a stranger
that has a recorded number by now: a leader must have begun when the record says, and members of a session
whose leader is gone must work in our folder.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

from encours.home import make_folder

GRACE_SECONDS = 4.0


class Started(NamedTuple):
    """A process that leads a session: `began` is psutil's create_time."""

    name: str
    pid: int
    began: float


class Processes:
    """Starts processes, tells which has ended, and stops them all. `record` is a file; `logs` a folder."""

    def __init__(self, record: Path, logs: Path) -> None:
        self._record = record
        self._logs = logs
        self._started: list[tuple[Started, subprocess.Popen[bytes]]] = []

    def start(
        self, name: str, command: Sequence[str], *, env: Mapping[str, str], piped: bool = False
    ) -> subprocess.Popen[bytes]:
        """Starts a process whose output goes to the log of its name; `piped` leaves what it prints to us."""
        make_folder(self._logs, 0o700)
        with self.log(name).open("wb") as log:
            process = subprocess.Popen(
                command,
                env=env,
                cwd=self._logs,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else log,
                stderr=log,
                start_new_session=True,
            )
        began = psutil.Process(process.pid).create_time()
        self._started.append((Started(name, process.pid, began), process))
        self._write([started for started, _ in self._started])
        return process

    def log(self, name: str) -> Path:
        """Where the output of this process goes."""
        return self._logs / f"{name}.log"

    def ended(self) -> str | None:
        """The name of a process that ended by itself."""
        return next((started.name for started, process in self._started if process.poll() is not None), None)

    def stop(self) -> None:
        """Ends all that was started here or left behind by a killed start, children included."""
        leaders = [started for started, _ in self._started] + self._left_behind()
        everybody = {member for leader in leaders for member in self._members(leader)}
        _signal(everybody, signal.SIGTERM)
        alive = wait_until_ended(everybody, GRACE_SECONDS)
        _signal(alive | {child for member in alive for child in _children(member)}, signal.SIGKILL)
        wait_until_ended(alive, GRACE_SECONDS)
        for _, process in self._started:
            process.wait()
        self._started = []
        self._write([])

    def _members(self, leader: Started) -> set[psutil.Process]:
        """Everybody of the leader's session, with descendants; nobody when a stranger has its number."""
        session = {one for one in psutil.process_iter() if _session(one.pid) == leader.pid}
        try:
            process = psutil.Process(leader.pid)
        except psutil.NoSuchProcess:
            session = {one for one in session if _folder(one) == str(self._logs.resolve())}
        else:
            session = session if process.create_time() == leader.began else set()
        return session | {child for member in session for child in _children(member)}

    def _left_behind(self) -> list[Started]:
        if not self._record.exists():
            return []
        return [Started(*entry) for entry in json.loads(self._record.read_text())]

    def _write(self, started: Sequence[Started]) -> None:
        draft = self._record.with_suffix(".new")
        draft.write_text(json.dumps(started))
        draft.replace(self._record)


def wait_until_ended(processes: set[psutil.Process], seconds: float) -> set[psutil.Process]:
    """Waits until all have ended, whoever their parents are; gives those that have not within the seconds."""
    deadline = time.monotonic() + seconds
    alive = processes
    while (alive := {process for process in alive if _lives(process)}) and time.monotonic() < deadline:
        time.sleep(0.05)
    return alive


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def _folder(process: psutil.Process) -> str | None:
    try:
        return process.cwd()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _signal(processes: set[psutil.Process], order: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(order)
        except psutil.NoSuchProcess:
            continue
