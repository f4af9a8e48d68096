from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from encours.processes import Processes, wait_until_ended

STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()  # away from the session, as Airflow's tasks may be
open(sys.argv[1] + str(os.getpid()), "w").close()
time.sleep(600)
"""
PARENT = """
import os, sys
from pathlib import Path
from encours.processes import Processes
here = Path(sys.argv[1])
started = Processes(here / "record.json", here / "logs")
started.start("kept", [sys.executable, "-c", "import time; time.sleep(600)"], env=os.environ)
started.start("left", [sys.executable, "-c", "import os, time; os.fork() and os._exit(0); time.sleep(600)"], env=os.environ)
os.kill(os.getpid(), 9)
"""


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    started = Processes(tmp_path / "record.json", tmp_path / "logs")
    yield started
    started.stop()


def sleeper(processes: Processes, name: str = "sleeper") -> subprocess.Popen[bytes]:
    return processes.start(name, [sys.executable, "-c", "import time; time.sleep(600)"], env=os.environ)


def working_in(folder: Path) -> set[psutil.Process]:
    return {p for p in psutil.process_iter(["cwd"]) if p.info["cwd"] == str(folder)}


def test_children_that_ignore_the_signal_are_gone_within_ten_seconds(
    processes: Processes, tmp_path: Path
) -> None:
    processes.start("stubborn", [sys.executable, "-c", STUBBORN, str(tmp_path / "pid-")], env=os.environ)
    while len(list(tmp_path.glob("pid-*"))) < 2:
        time.sleep(0.02)
    pids = [int(file.name.removeprefix("pid-")) for file in tmp_path.glob("pid-*")]
    family = {psutil.Process(pid) for pid in pids}
    began = time.monotonic()
    processes.stop()
    assert time.monotonic() - began < 10
    assert wait_until_ended(family, 0) == set()


def test_who_ended_by_itself_is_named(processes: Processes) -> None:
    sleeper(processes)
    assert processes.ended() is None
    short = processes.start("short", [sys.executable, "-c", "print('why')"], env=os.environ)
    short.wait(10)
    assert processes.ended() == "short"
    assert processes.log("short").read_text() == "why\n"


def test_the_next_start_ends_what_a_killed_one_left(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", PARENT, str(tmp_path)], check=False)
    assert killed.returncode == -9
    left = working_in(tmp_path / "logs")
    assert len(left) == 2
    Processes(tmp_path / "record.json", tmp_path / "logs").stop()
    assert wait_until_ended(left, 0) == set()


def test_a_stranger_with_a_recorded_number_is_left_alone(processes: Processes, tmp_path: Path) -> None:
    stranger = sleeper(processes)
    began = psutil.Process(stranger.pid).create_time()
    (tmp_path / "old.json").write_text(json.dumps([["api-server", stranger.pid, began - 3600]]))
    Processes(tmp_path / "old.json", tmp_path / "logs").stop()
    assert stranger.poll() is None


def test_strangers_in_a_session_with_a_recorded_number_are_left_alone(tmp_path: Path) -> None:
    code = "import os, time; os.fork() and os._exit(0); time.sleep(600)"
    leader = subprocess.Popen([sys.executable, "-c", code], start_new_session=True, cwd=tmp_path)
    leader.wait(10)
    orphans = working_in(tmp_path)
    try:
        (tmp_path / "old.json").write_text(json.dumps([["api-server", leader.pid, time.time() - 3600]]))
        Processes(tmp_path / "old.json", tmp_path / "logs").stop()
        assert len(orphans) == 1
        assert wait_until_ended(orphans, 0) == orphans
    finally:
        for orphan in orphans:
            orphan.kill()
