"""What one run of a client costs: processor time of it and of its database server, time by the clock, memory.

Exact, not sampled: the kernel's own accounts of both trees before and after. A backend that ended is in
its postmaster's account of children; one that lives is added.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    """Seconds of processor time (user and system), seconds by the clock, MiB at the peak, rows read."""

    client: float
    server: float
    wall: float
    peak_mib: float
    rows: int

    @property
    def cpu(self) -> float:
        """Client and database server together."""
        return self.client + self.server


def peak_mib() -> float:
    """The largest resident size that this process had since it was started, in MiB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    [peak] = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(peak) / 1024


def measured(command: Sequence[str], postmaster: int, environment: Mapping[str, str]) -> Cost:
    """Runs a client to its end; it prints its rows and its peak as the last line. Raises if it fails."""
    server, clock = server_seconds(postmaster), time.monotonic()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        said = process.stdout.read() if process.stdout else b""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - clock
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    last = json.loads(said.splitlines()[-1])
    return Cost(
        client=usage.ru_utime + usage.ru_stime,
        server=settled_server_seconds(postmaster) - server,
        wall=wall,
        peak_mib=last["peak_mib"],
        rows=last["rows"],
    )


def settled_server_seconds(postmaster: int) -> float:
    """The server's processor time once it rests: a backend may still be ending, or a worker vacuuming."""
    before = -1.0
    while (now := server_seconds(postmaster)) != before:
        before = now
        time.sleep(0.3)
    return now


def server_seconds(postmaster: int) -> float:
    """Processor time of a PostgreSQL server: its postmaster, the processes it has and those that ended."""
    while True:
        try:
            children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text(encoding="ascii")
            return sum(ticks(process) for process in (str(postmaster), *children.split())) / TICKS
        except (FileNotFoundError, ProcessLookupError):
            # A backend ended between the two reads: its time is in the postmaster's by now.
            if not Path(f"/proc/{postmaster}").exists():
                raise


def ticks(process: str) -> int:
    """utime, stime, cutime and cstime of proc(5), summed."""
    text = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace")
    return sum(int(field) for field in text.rpartition(")")[2].split()[11:15])
