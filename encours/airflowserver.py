"""Airflow as `up` runs it: its configuration, its four processes, and the few calls of its REST API we need.

Everything is below the home folder and listens on this machine only. Knows no connector; imports no airflow.
"""

from __future__ import annotations

import base64
import configparser
import io
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import requests

from encours.home import make_folder, write_private
from encours.processes import Processes
from encours.settings import CHECKOUT
from receivables.errors import Misconfigured, Transient

HOST = "127.0.0.1"
USERS = {"admin": "admin", "viewer": "viewer"}  # name: SimpleAuthManager's role
NEEDED = ("metadatabase", "scheduler", "dag_processor", "triggerer")


class AirflowServer:
    """One Airflow in `home`, on `port` of this machine; `database_url` is its libpq address."""

    def __init__(self, home: Path, *, port: int, database_url: str) -> None:
        self.home = home
        self.url = f"http://{HOST}:{port}"
        self._port = port
        self._database_url = database_url
        self._http = requests.Session()
        self._http.trust_env = False  # no proxy stands between us and this machine
        self._token: str | None = None

    def configure(self) -> None:
        """Writes airflow.cfg, readable by its owner only; keys and passwords are made once and kept."""
        make_folder(self.home, 0o700)
        keys = self._kept("keys.json", {"fernet": _fernet_key(), "jwt": _secret(), "api": _secret()})
        self._kept("passwords.json", {name: secrets.token_urlsafe(12) for name in USERS})
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_dict(_escaped(self._configuration(keys)))
        text = io.StringIO()
        parser.write(text)
        write_private(self.home / "airflow.cfg", text.getvalue())

    def password(self, user: str) -> str:
        """The password that was made for `admin` or `viewer`."""
        return str(json.loads((self.home / "passwords.json").read_text())[user])

    def migrate(self, environment: Mapping[str, str]) -> None:
        """Brings Airflow's own tables to its version; raises Misconfigured with the end of what it said."""
        done = subprocess.run(
            _airflow("db", "migrate"),
            env=environment,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
        )
        if done.returncode != 0:
            raise Misconfigured(
                f"Airflow's tables could not be made:\n{(done.stderr or done.stdout)[-2000:]}"
            )

    def start(self, processes: Processes, environment: Mapping[str, str], check: Callable[[], None]) -> None:
        """Starts the API server, then the other parts, and waits until all are healthy.

        `check` is called while waiting; what it raises ends the wait. Raises Transient after two minutes, and
        if another Airflow answers in place of ours.
        """
        processes.start("api-server", _airflow("api-server"), env=environment)
        processes.start("dag-processor", _airflow("dag-processor"), env=environment)
        self._wait(lambda: bool(self.health()), check)  # a scheduler without API server loses its first tasks
        self._bearer()  # what answers is ours
        processes.start("scheduler", _airflow("scheduler", "--skip-serve-logs"), env=environment)
        processes.start("triggerer", _airflow("triggerer", "--skip-serve-logs"), env=environment)
        self._wait(lambda: _healthy(self.health()), check)

    def environment(self) -> dict[str, str]:
        """What its processes run with: ours, without another Airflow's settings, telemetry or proxies."""
        ours = {
            name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "_AIRFLOW"))
        }
        local = ",".join(
            filter(None, [os.environ.get("NO_PROXY") or os.environ.get("no_proxy"), HOST, "localhost"])
        )
        programs = str(Path(sys.executable).parent)
        return ours | {
            "AIRFLOW_HOME": str(self.home),
            "PATH": os.pathsep.join([programs, os.environ.get("PATH", os.defpath)]),
            "NO_PROXY": local,
            "no_proxy": local,
            "SCARF_ANALYTICS": "false",
            "DO_NOT_TRACK": "1",
        }

    def health(self) -> dict[str, str]:
        """The state of each part by name; nothing while the API server does not answer."""
        try:
            answer = self._http.get(f"{self.url}/api/v2/monitor/health", timeout=5)
        except requests.ConnectionError:
            return {}
        return (
            {part: str(state["status"]) for part, state in answer.json().items() if state}
            if answer.ok
            else {}
        )

    def get(self, path: str, **query: str) -> dict[str, Any] | None:
        """A REST resource below /api/v2; None when there is none."""
        answer = self._http.get(f"{self.url}/api/v2{path}", params=query, headers=self._bearer(), timeout=30)
        if answer.status_code == requests.codes.not_found:
            return None
        answer.raise_for_status()
        return dict(answer.json())

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Makes a REST resource below /api/v2."""
        answer = self._http.post(f"{self.url}/api/v2{path}", json=body, headers=self._bearer(), timeout=30)
        answer.raise_for_status()
        return dict(answer.json())

    def _bearer(self) -> dict[str, str]:
        if self._token is None:
            login = {"username": "admin", "password": self.password("admin")}
            answer = self._http.post(f"{self.url}/auth/token", json=login, timeout=30)
            if answer.status_code == requests.codes.unauthorized:
                raise Transient(
                    f"Another Airflow has taken {self.url} meanwhile. Start again: a free port is looked for."
                )
            answer.raise_for_status()
            self._token = str(answer.json()["access_token"])
        return {"Authorization": f"Bearer {self._token}"}

    def _wait(self, ready: Callable[[], bool], check: Callable[[], None]) -> None:
        deadline = time.monotonic() + 120
        while not ready():
            check()
            if time.monotonic() > deadline:
                raise Transient(
                    f"Airflow is not healthy after two minutes. Its logs: {self.home.parent / 'logs'}"
                )
            time.sleep(0.2)

    def _kept(self, name: str, fresh: Mapping[str, str]) -> dict[str, str]:
        """The values kept in a private file; the fresh ones, kept from now on, when there is none."""
        file = self.home / name
        if not file.exists():
            write_private(file, json.dumps(fresh))
        return dict(json.loads(file.read_text()))

    def _configuration(self, keys: Mapping[str, str]) -> dict[str, dict[str, str]]:
        """Airflow 3.3 configuration reference; only what differs from its defaults."""
        return {
            "core": {
                "dags_folder": str(CHECKOUT / "dags"),
                "plugins_folder": str(CHECKOUT / "plugins"),
                "load_examples": "False",
                "executor": "LocalExecutor",
                "parallelism": "2",
                "fernet_key": keys["fernet"],
                "execution_api_server_url": f"{self.url}/execution/",
                "simple_auth_manager_users": ",".join(f"{name}:{role}" for name, role in USERS.items()),
                "simple_auth_manager_passwords_file": str(self.home / "passwords.json"),
            },
            "database": {
                "sql_alchemy_conn": self._database_url.replace("postgresql://", "postgresql+psycopg2://", 1),
                "load_default_connections": "False",
            },
            "logging": {"base_log_folder": str(self.home / "logs")},
            "api": {
                "host": HOST,
                "port": str(self._port),
                "base_url": self.url,
                "workers": "1",
                "secret_key": keys["api"],
            },
            "api_auth": {"jwt_secret": keys["jwt"]},
            "dag_processor": {"min_file_process_interval": "300"},
            "usage_data_collection": {"enabled": "False"},
        }


def _healthy(parts: Mapping[str, str]) -> bool:
    return all(parts.get(part) == "healthy" for part in NEEDED)


def _airflow(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "airflow", *arguments]


def _secret() -> str:
    return secrets.token_urlsafe(64)


def _fernet_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def _escaped(configuration: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Airflow reads its file with interpolation: a percent sign is written twice."""
    return {
        section: {name: value.replace("%", "%%") for name, value in options.items()}
        for section, options in configuration.items()
    }
