"""`encours up` and `encours down`: everything that runs, started in order, watched, and stopped as one.

Stays in the foreground; Ctrl-C, SIGTERM and a closed terminal stop all within ten seconds. Refuses to start
twice: the second start prints where the first one is. What a killed start left behind is ended by the next.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import psutil

from encours.airflowserver import USERS, AirflowServer
from encours.home import make_folder, write_private
from encours.hub import Hub
from encours.migrations import upgrade
from encours.postgres import Postgres
from encours.processes import Processes
from encours.settings import Settings
from encours.simulation import OAUTH, Simulation, connect, free_port
from receivables.errors import Transient

STOP_ORDERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FIRST_SYNC_SECONDS = 300
DOWN_SECONDS = 15


class Asked(BaseException):
    """A signal asked us to stop."""


def up(*, sandbox: bool, port: int) -> None:
    """Starts all, prints the address and the login, and stays until it is asked to stop.

    When it runs already, prints the address and login and returns. Raises Misconfigured and Transient.
    """
    settings = Settings()
    make_folder(settings.home, 0o711 if os.geteuid() == 0 else 0o700)
    with _only_one(settings.home) as only:
        if not only:
            _tell_of_the_first(settings.home)
            return
        service = _Service(settings, sandbox=sandbox)
        try:
            _listen_to(_ask)
            service.start(port)
            service.watch()
        except Asked:
            _say("Stopping.")
        finally:
            _listen_to(signal.SIG_IGN)  # once is enough: the stop itself takes less than ten seconds
            service.stop()


def down() -> None:
    """Stops what `up` started, also what a killed one left behind; raises Transient if it does not end."""
    settings = Settings()
    if not settings.home.is_dir():
        _say("Nothing runs.")
        return
    running = _running(settings.home)
    if running is not None:
        running.terminate()
        deadline = time.monotonic() + DOWN_SECONDS
        while running.is_running() and running.status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > deadline:
                raise Transient(f"Process {running.pid} does not end. End it yourself: kill -9 {running.pid}")
            time.sleep(0.1)
    with _only_one(settings.home) as only:
        if not only:
            raise Transient("Another start is at work. Try again in a moment.")
        _Service(settings, sandbox=False).stop()
    _say("Stopped.")


class _Service:
    """The database, the sandbox and Airflow of one home folder."""

    def __init__(self, settings: Settings, *, sandbox: bool) -> None:
        self._settings = settings
        self._home = settings.home
        self._processes = Processes(self._home / "processes.json", self._home / "logs")
        self._simulation = Simulation(self._home, today=datetime.now(UTC).date())
        self._postgres = Postgres(self._home) if settings.embedded else None
        self._sandbox = sandbox

    def start(self, wanted_port: int) -> None:
        self._processes.stop()  # what a killed start left behind
        if self._postgres is not None:
            _say("Database: starting.")
            self._postgres.start()
        upgrade(self._settings.database_url("encours_owner"))
        port = free_port(wanted_port)
        airflow = AirflowServer(
            self._home / "airflow", port=port, database_url=self._settings.database_url("airflow")
        )
        airflow.configure()
        _write_state(self._home, airflow)
        environment = airflow.environment() | {"ENCOURS_HOME": str(self._home)}
        keys = self._connect(environment) if self._sandbox else []
        _say(
            "Airflow: starting"
            + (f" (port {wanted_port} is busy: {port} is taken)." if port != wanted_port else ".")
        )
        airflow.migrate(environment)
        airflow.start(self._processes, environment, self._check)
        for line in _first_syncs(airflow, keys, self._check):
            _say(line)
        _say(_where(airflow))

    def watch(self) -> NoReturn:
        """Waits until a signal comes; raises Transient when a part ends by itself."""
        while True:
            self._check()
            time.sleep(0.5)

    def stop(self) -> None:
        self._processes.stop()
        self._simulation.stopped()
        if self._postgres is not None:
            self._postgres.stop()
        (self._home / "up.json").unlink(missing_ok=True)

    def _connect(self, environment: dict[str, str]) -> list[str]:
        _say(f"Sandbox: starting three simulated ERPs; {OAUTH} signs in by OAuth, with tokens of a minute.")
        tenants = self._simulation.start(self._processes, environment)
        with Hub(Settings()) as hub:
            return connect(hub, tenants)

    def _check(self) -> None:
        if name := self._processes.ended():
            raise Transient(
                f"{name} ended by itself, so all is stopped. Its log: {self._processes.log(name)}"
            )


def _first_syncs(airflow: AirflowServer, keys: Sequence[str], check: Any) -> Iterator[str]:
    """Asks Airflow for a run of each connector's DAG; one line for each that ends."""
    deadline = time.monotonic() + FIRST_SYNC_SECONDS
    waiting = dict.fromkeys(keys, "")  # the run of each, once it was asked for
    while waiting and time.monotonic() < deadline:
        for key, run in list(waiting.items()):
            dag = f"/dags/encours_{key}"
            if not run:
                if airflow.get(dag) is not None:
                    waiting[key] = airflow.post(f"{dag}/dagRuns", {"logical_date": None})["dag_run_id"]
                continue
            state = (airflow.get(f"{dag}/dagRuns/{run}") or {}).get("state")
            if state == "success":
                yield _result(airflow, key, run)
            elif state == "failed":
                yield f"{key}: not published. Why: encours status, or the log in Airflow ({airflow.url}{dag})"
            if state in ("success", "failed"):
                del waiting[key]
        check()
        time.sleep(0.5)
    for key in waiting:
        yield f"{key}: still running after {FIRST_SYNC_SECONDS} s. Look again with: encours status"


def _result(airflow: AirflowServer, key: str, run: str) -> str:
    """The figures as the asset event carries them."""
    events = airflow.get("/assets/events", source_dag_id=f"encours_{key}", source_run_id=run) or {}
    for event in events.get("asset_events", []):
        done = event["extra"]
        return f"{key}: {done['rows_read']:,} rows, {done['seconds']:.1f} s, {done['verdict']}"
    return f"{key}: the run succeeded and told nothing of what it published. See its log in Airflow."


def _where(airflow: AirflowServer) -> str:
    lines = ["", f"Encours runs: {airflow.url}"]
    lines += [f"  login {name:7} password {airflow.password(name)}" for name in USERS]
    return "\n".join([*lines, "Ctrl-C stops everything.", ""])


def _write_state(home: Path, airflow: AirflowServer) -> None:
    me = psutil.Process()
    state = {"pid": me.pid, "began": me.create_time(), "where": _where(airflow)}
    write_private(home / "up.json", json.dumps(state))


def _state(home: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads((home / "up.json").read_text()))
    except FileNotFoundError:
        return None


def _running(home: Path) -> psutil.Process | None:
    """The process of the running `up`; a stranger that has its number by now is none."""
    state = _state(home)
    try:
        process = psutil.Process(state["pid"]) if state else None
    except psutil.NoSuchProcess:
        return None
    return process if process and state and process.create_time() == state["began"] else None


def _tell_of_the_first(home: Path) -> None:
    """Prints where the running one is; while it is about to choose its port, waits for that."""
    deadline = time.monotonic() + DOWN_SECONDS
    while _running(home) is None and time.monotonic() < deadline:
        time.sleep(0.2)
    state = _state(home)
    if state is None:
        raise Transient(
            "Another start is at work and has not said yet where it will be. Try again in a moment."
        )
    _say(
        "It runs already.\n" + state["where"].replace("Ctrl-C stops everything.", "To stop it: encours down")
    )


@contextmanager
def _only_one(home: Path) -> Iterator[bool]:
    """Whether we are the only one; the lock goes with the process, however that ends."""
    with (home / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _ask(_number: int, _frame: FrameType | None) -> None:
    raise Asked


def _listen_to(handler: Any) -> None:
    for order in STOP_ORDERS:
        signal.signal(order, handler)


def _say(text: str) -> None:
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except OSError:
        return  # the terminal is gone; stopping in order matters more than saying so
