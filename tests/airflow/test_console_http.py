"""The console over HTTP, inside Airflow's own API server: rights, headers, errors, the database away."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
import requests

from encours.postgres import SUPERUSER

if TYPE_CHECKING:
    from tests.conftest import Database

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self';"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'; object-src 'none'"
)
PASSWORD = "a-viewers-password"


@dataclass(frozen=True)
class Server:
    url: str
    token: str

    def get(self, path: str, *, token: str | None = None) -> requests.Response:
        bearer = {"Authorization": f"Bearer {self.token if token is None else token}"}
        return requests.get(f"{self.url}{path}", headers=bearer, timeout=20, allow_redirects=False)

    def stranger(self, path: str) -> requests.Response:
        return requests.get(f"{self.url}{path}", timeout=20, allow_redirects=False)


@pytest.fixture(scope="module")
def server(environment: dict[str, str]) -> Iterator[Server]:
    """Airflow's API server with our plugin and one user, a viewer."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = Path(environment["AIRFLOW_HOME"])
    home.mkdir(exist_ok=True)
    passwords = home / "passwords.json"
    passwords.write_text(json.dumps({"victor": PASSWORD}))
    url = f"http://127.0.0.1:{port}"
    api = environment | {
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "victor:viewer",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__API_AUTH__JWT_SECRET": "j" * 64,
        "AIRFLOW__API__SECRET_KEY": "k" * 32,
    }
    airflow = [sys.executable, "-m", "airflow"]
    subprocess.run([*airflow, "db", "migrate"], env=api, check=True, capture_output=True, timeout=120)
    log = (home / "api.log").open("wb")
    command = [*airflow, "api-server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    with log, subprocess.Popen(command, env=api, stdout=log, stderr=log, start_new_session=True) as process:
        try:
            yield Server(url, _token(url, process, home / "api.log"))
        finally:
            os.killpg(process.pid, signal.SIGTERM)


def _token(url: str, process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        try:
            login = {"username": "victor", "password": PASSWORD}
            return str(requests.post(f"{url}/auth/token", json=login, timeout=5).json()["access_token"])
        except requests.ConnectionError:
            time.sleep(0.5)
    pytest.fail(f"Airflow's API server did not come up:\n{log.read_text()[-3000:]}")


def assert_headers(answer: requests.Response, *, cache: str = "no-store") -> None:
    found = {name: answer.headers.get(name) for name in EXPECTED}
    assert found == EXPECTED
    assert answer.headers["Cache-Control"] == cache


EXPECTED = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "SAMEORIGIN",
}


def test_a_viewer_sees_every_connector(server: Server) -> None:
    answer = server.get("/encours/?all=1")
    assert answer.status_code == 200
    assert_headers(answer)
    assert re.findall(r'data-connector="([^"]+)"', answer.text) == ["acme-s4", "nippon-s4"]
    assert "Nippon Trading" in answer.text
    assert "Paused" in answer.text
    assert 'href="/dags/encours_acme-s4"' in answer.text


def test_a_stranger_gets_401_as_a_page_that_leads_to_the_login(server: Server) -> None:
    for path in "/encours/", "/encours/?all=1":
        answer = server.stranger(path)
        assert answer.status_code == 401
        assert_headers(answer)
        assert "Your session has ended." in answer.text
        assert "next=%2Fplugin%2Fencours%2Fencours%2F" in answer.text
        assert "data-connector" not in answer.text


def test_a_junk_token_is_refused(server: Server) -> None:
    answer = server.get("/encours/", token="junk")
    assert answer.status_code == 403
    assert_headers(answer)
    assert "You may not look at this page." in answer.text


@pytest.mark.parametrize(
    ("path", "status", "sentence"),
    [
        ("/encours/?state=broken", 400, "There is no state &#39;broken&#39;. Known: held, failing"),
        ("/encours/?state=<script>", 400, "&lt;script&gt;"),
        ("/encours/nowhere", 404, "There is no page at this address."),
        ("/encours/static/0000000000000000/console.css", 404, "There is no page"),
        ("/encours/static/0000000000000000/..%2fapp.py", 404, "There is no page"),
        ("/encours/docs", 404, "There is no page"),
        ("/encours/openapi.json", 404, "There is no page"),
    ],
)
def test_a_bad_address_is_answered_in_words(server: Server, path: str, status: int, sentence: str) -> None:
    answer = server.get(path)
    assert answer.status_code == status
    assert_headers(answer)
    assert sentence in answer.text
    assert "<script>" not in answer.text


def test_nothing_can_be_written(server: Server) -> None:
    for method in "POST", "PUT", "DELETE", "PATCH":
        answer = requests.request(
            method, f"{server.url}/encours/", headers={"Authorization": f"Bearer {server.token}"}, timeout=20
        )
        assert answer.status_code == 405
        assert_headers(answer)


def test_static_files_are_kept_under_the_path_of_their_contents(server: Server) -> None:
    addresses = set(re.findall(r'(?:src|href)="(/encours/static/[^"]+)"', server.get("/encours/").text))
    assert {address.rsplit("/", 1)[1] for address in addresses} == {"console.css", "frame.js", "icon.svg"}
    for address in addresses:
        answer = server.stranger(address)
        assert answer.status_code == 200
        assert_headers(answer, cache="public, max-age=31536000, immutable")


def test_times_follow_the_readers_zone_and_an_unknown_zone_is_utc(server: Server) -> None:
    shown = {}
    for zone in "Asia/Tokyo", "UTC", "../../etc/passwd":
        headers = {"Authorization": f"Bearer {server.token}", "Cookie": f"encours_tz={zone}"}
        answer = requests.get(f"{server.url}/encours/?all=1", headers=headers, timeout=20)
        (shown[zone],) = re.findall(r'class="health">Checked <time [^>]*title="[^"]* (\w+)"', answer.text)
    assert shown == {"Asia/Tokyo": "JST", "UTC": "UTC", "../../etc/passwd": "UTC"}


@contextmanager
def away(books: Database) -> Iterator[None]:
    """The hub's database lets nobody in."""
    with psycopg.connect(books.postgres.url(SUPERUSER, "postgres"), autocommit=True) as connection:
        try:
            connection.execute(f'alter database "{books.name}" allow_connections false')
            yield
        finally:
            connection.execute(f'alter database "{books.name}" allow_connections true')


def test_while_the_database_is_away_the_page_says_so_and_heals(server: Server, books: Database) -> None:
    with away(books):
        began = time.monotonic()
        answer = server.get("/encours/?all=1")
        assert time.monotonic() - began < 3
        assert answer.status_code == 200
        assert_headers(answer)
        assert "The hub&#39;s database does not answer. Airflow works. Runs wait." in answer.text
        assert "data-connector" not in answer.text
        assert server.get("/api/v2/version").status_code == 200
    assert "data-connector" in server.get("/encours/?all=1").text


def test_airflow_lists_the_page_and_the_connection_type(server: Server) -> None:
    (plugin,) = server.get("/api/v2/plugins").json()["plugins"]
    (view,) = plugin["external_views"]
    assert (view["href"], view["url_route"], view["destination"]) == ("/encours/", "encours", "nav")
    assert server.stranger(view["icon"]).status_code == 200
    assert server.get("/api/v2/plugins/importErrors").json()["total_entries"] == 0
