from __future__ import annotations

import ast
import fcntl
import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
from collections import namedtuple
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

import bootstrap
from encours.processes import wait_until_ended

ROOT = Path(bootstrap.__file__).parent


def says(patch: pytest.MonkeyPatch, *arguments: str) -> str:
    """What check_machine refuses with."""
    patch.setattr(sys, "argv", ["bootstrap.py", *arguments])
    with pytest.raises(bootstrap.SetupError) as refused:
        bootstrap.check_machine()
    return str(refused.value)


def clone(folder: Path, *pins: str) -> Path:
    """A folder that bootstrap.py takes for a clone, with these pins as its lock."""
    made = folder / "a clone"
    (made / "requirements").mkdir(parents=True)
    shutil.copy(ROOT / "bootstrap.py", made)
    (made / "pyproject.toml").write_text("[project]\nname = 'empty'\nversion = '1'\n")
    (made / "requirements" / "test.txt").write_text("".join(pin + "\n" for pin in pins))
    return made


def bootstrapped(made: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(made / "bootstrap.py"), "test"],
        env=os.environ | environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_this_machine_passes() -> None:
    bootstrap.check_machine()


def test_an_old_python_can_read_the_file_to_say_that_it_is_too_old() -> None:
    ast.parse((ROOT / "bootstrap.py").read_text(), feature_version=(3, 8))


@pytest.mark.parametrize(("version", "word"), [((3, 10), "old"), ((3, 15), "new")])
def test_another_python_that_fits_is_named(
    version: tuple[int, int], word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "version_info", (*version, 0))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "apt install python3.12" in says(monkeypatch, "run")
    (tmp_path / "python3.13").write_text("")
    (tmp_path / "python3.13").chmod(0o755)
    found = says(monkeypatch, "run")
    assert f"too {word}" in found
    assert "python3.13 bootstrap.py run" in found or "make PYTHON=python3.13 run" in found


def test_a_missing_venv_module_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    assert f"sudo apt install python3.{sys.version_info[1]}-venv" in says(monkeypatch, "run")


def test_musl_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysconfig, "get_config_var", lambda _: "cpython-312-x86_64-linux-musl")
    assert "musl" in says(monkeypatch, "run")


def test_too_little_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")  # noqa: PYI024  as shutil gives it
    monkeypatch.setattr(bootstrap, "ROOT", clone(tmp_path))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 9, 2**30))
    with pytest.raises(bootstrap.SetupError, match=r"1\.0 GB are free .* needs 2 GB.*\n?.*du "):
        bootstrap.set_up("test")


def test_no_index_in_reach_is_said_with_the_lines_to_type(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}/simple"
        made = clone(tmp_path, f"no-such-package-of-encours==1 --hash=sha256:{'0' * 64}")
        done = bootstrapped(made, PIP_INDEX_URL=nobody, PIP_EXTRA_INDEX_URL="", PIP_CONFIG_FILE=os.devnull)
    assert done.returncode == 1
    assert "No package index can be reached" in done.stderr
    assert "HTTPS_PROXY=http://host:port" in done.stderr
    assert "PIP_INDEX_URL=" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (made / ".venv" / "test" / "complete").exists()


def test_a_half_made_environment_is_made_anew_and_a_whole_one_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = clone(tmp_path)
    calls: list[Path] = []

    def make(folder: Path, *_: Any) -> None:
        assert not (folder / "half").exists()
        folder.mkdir(parents=True)
        calls.append(folder)

    monkeypatch.setattr(bootstrap, "ROOT", made)
    monkeypatch.setattr(bootstrap, "_make", make)  # the step of pip: the tests themselves run in its outcome
    (made / ".venv" / "test").mkdir(parents=True)
    (made / ".venv" / "test" / "half").touch()
    for _ in range(2):
        bootstrap.set_up("test")
    assert len(calls) == 1
    (made / "requirements" / "test.txt").write_text("changed==1\n")
    bootstrap.set_up("test")
    assert len(calls) == 2


@pytest.fixture
def silent_index() -> Iterator[str]:
    """The address of an index that takes every connection and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/simple"


@contextmanager
def installing(made: Path, index: str) -> Iterator[tuple[subprocess.Popen[str], psutil.Process]]:
    """A set-up in the middle of pip's work, and the pip."""
    process = subprocess.Popen(
        [sys.executable, str(made / "bootstrap.py"), "test"],
        env=os.environ | {"PIP_INDEX_URL": index, "PIP_EXTRA_INDEX_URL": "", "PIP_CONFIG_FILE": os.devnull},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        while not (pips := [c for c in psutil.Process(process.pid).children() if "pip" in c.cmdline()]):
            time.sleep(0.05)
        try:
            yield process, pips[0]
        finally:
            process.kill()
            if pips[0].is_running():
                pips[0].kill()


def is_locked(made: Path) -> bool:
    with (made / ".venv" / "test.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def test_an_interrupted_set_up_ends_its_installer_and_says_how_to_go_on(
    tmp_path: Path, silent_index: str
) -> None:
    made = clone(tmp_path, f"no-such-package-of-encours==1 --hash=sha256:{'0' * 64}")
    with installing(made, silent_index) as (process, pip):
        process.terminate()
        assert process.wait(10) == 130
        assert process.stderr is not None
        assert "Go on with" in process.stderr.read()
        assert not pip.is_running()
        assert not is_locked(made)


def test_an_installer_that_outlives_a_killed_set_up_keeps_the_next_one_waiting(
    tmp_path: Path, silent_index: str
) -> None:
    made = clone(tmp_path, f"no-such-package-of-encours==1 --hash=sha256:{'0' * 64}")
    with installing(made, silent_index) as (process, pip):
        process.kill()
        process.wait(10)
        assert pip.is_running()
        assert is_locked(made)
        pip.kill()
        wait_until_ended({pip}, 10)
        assert not is_locked(made)


def test_every_target_of_the_makefile_is_one_line_that_calls_bootstrap() -> None:
    text = (ROOT / "Makefile").read_text()
    targets = dict(re.findall(r"(?m)^([\w-]+): ; @\$\(PYTHON\) bootstrap\.py (\S+)", text))
    assert len(targets) == text.count(": ;")
    assert targets.pop("help") == "--help"
    assert targets == {name: name for name in bootstrap.TARGETS}


@pytest.mark.parametrize("name", ["run", "test", "bench"])
def test_locks_are_hashed_and_name_no_host(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    pins = re.findall(r"(?m)^[a-z0-9][^\s=]*==\S+.*\\$", text)
    assert len(pins) > 100
    assert len(pins) == len(re.findall(r"(?m)^\S", text))
    assert "://" not in text
    for block in re.split(r"(?m)^(?=\S)", text)[1:]:
        assert "--hash=sha256:" in block
    if name == "run":
        for wanted in ("apache-airflow==3.3.2", "requests==", "authlib==", "python-jose==", "xmltodict=="):
            assert wanted in text.replace("python-jose[cryptography]", "python-jose")


def test_a_provider_that_cannot_be_installed_is_one_line(tmp_path: Path) -> None:
    made = clone(tmp_path)
    shutil.copytree(ROOT / "tests" / "idp", made / "tests" / "idp")
    shutil.copy(ROOT / "requirements" / "node.txt", made / "requirements")
    call = (
        "import bootstrap, pathlib, sys\n"
        "try: bootstrap.set_up_provider(pathlib.Path(sys.executable))\n"
        "except bootstrap.SetupError as reason: sys.exit(str(reason))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", call],
        cwd=made,
        env=os.environ | {"PIP_NO_INDEX": "1"},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("node cannot be installed here: ERROR: ")
    assert not (made / ".venv" / "idp" / "complete").exists()
