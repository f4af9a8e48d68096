from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psutil
import pytest
import requests

from encours.airflowserver import AirflowServer
from encours.postgres import Postgres
from encours.processes import wait_until_ended
from receivables.errors import Transient

pytestmark = pytest.mark.long

ENCOURS = [sys.executable, "-c", "from encours.cli import main; main()"]
PRIVATE = ("airflow/airflow.cfg", "airflow/keys.json", "airflow/passwords.json", "postgres.json", "up.json")


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="encours-", dir="/tmp"))
    folder.chmod(0o711)
    yield folder / "home"
    if family(folder):
        encours(folder / "home", "down")
    shutil.rmtree(folder)


def environment(home: Path) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "ENCOURS_"))}
    return clean | {"ENCOURS_HOME": str(home), "HTTP_PROXY": "http://127.0.0.1:9"}


def encours(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [*ENCOURS, *words]
    return subprocess.run(
        command, env=environment(home), check=False, capture_output=True, text=True, timeout=60
    )


@contextmanager
def up(home: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*ENCOURS, "up", *words],
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        yield process


def said(process: subprocess.Popen[str], until: str) -> str:
    lines = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if line.startswith(until):
            return "".join(lines)
    pytest.fail(f"ended without {until!r}:\n" + "".join(lines))


def family(home: Path) -> set[psutil.Process]:
    """Everybody who works below the home folder."""
    inside = str(home)
    return {p for p in psutil.process_iter(["cwd"]) if (p.info["cwd"] or "").startswith(inside)}


def test_a_closed_terminal_during_the_start_stops_all_and_leaves_nothing(home: Path) -> None:
    with up(home) as process:
        said(process, "Airflow: starting")
        for name in PRIVATE:
            assert (home / name).stat().st_mode & 0o077 == 0, name
        deadline = time.monotonic() + 30
        while len(family(home)) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        left = family(home)
        assert left
        began = time.monotonic()
        process.send_signal(signal.SIGHUP)
        assert process.wait(30) == 0
        assert time.monotonic() - began < 10
    assert wait_until_ended(left | family(home), 0) == set()


class Stranger(BaseHTTPRequestHandler):
    """An Airflow that does not know our users."""

    def do_POST(self) -> None:
        self.send_response(401)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


def test_an_airflow_that_took_the_port_first_is_told_apart(home: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), Stranger) as stranger:
        threading.Thread(target=stranger.serve_forever, daemon=True).start()
        ours = AirflowServer(home, port=stranger.server_port, database_url="")
        ours.configure()
        with pytest.raises(Transient, match=r"Another Airflow has taken .*:\d+ meanwhile\. Start again"):
            ours.get("/dags")
        stranger.shutdown()


def test_one_home_runs_once_and_a_killed_start_is_cleaned_up(home: Path) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        taken = busy.getsockname()[1]
        with up(home, "--port", str(taken)) as process:
            text = said(process, "Ctrl-C")
            url = text.split("Encours runs: ")[1].split()[0]
            assert f"port {taken} is busy" in text
            assert not url.endswith(f":{taken}")
            assert (
                requests.get(f"{url}/api/v2/monitor/health", timeout=10).json()["scheduler"]["status"]
                == "healthy"
            )

            second = encours(home, "up", "--port", str(taken))
            assert second.returncode == 0
            airflow = AirflowServer(home / "airflow", port=0, database_url="")
            for shown in (url, airflow.password("admin"), airflow.password("viewer"), "encours down"):
                assert shown in second.stdout

            for name, password in (
                ("admin", airflow.password("admin")),
                ("viewer", airflow.password("viewer")),
            ):
                login = {"username": name, "password": password}
                assert requests.post(f"{url}/auth/token", json=login, timeout=30).status_code == 201
            listening = {
                connection.laddr.ip
                for member in family(home)
                for connection in member.net_connections("inet")
                if connection.status == psutil.CONN_LISTEN
            }
            assert listening == {"127.0.0.1"}

            left = family(home)
            process.kill()
            process.wait(10)
    assert wait_until_ended(left, 0) == left
    done = encours(home, "down")
    assert (done.returncode, done.stdout) == (0, "Stopped.\n")
    assert wait_until_ended(left | family(home), 0) == set()
    assert not Postgres(home).running()


def test_down_without_anything_running_says_so(home: Path) -> None:
    done = encours(home, "down")
    assert (done.returncode, done.stdout) == (0, "Nothing runs.\n")
    assert not home.exists()
