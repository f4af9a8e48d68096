"""The whole of step one as people meet it: `encours up --sandbox`, Airflow, and the page in a browser.

Needs Chromium (`apt-get install chromium`). ENCOURS_PICTURE names a file to keep the picture in.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import ConsoleMessage, FloatRect, Frame, Page, sync_playwright

from encours.hub import Hub
from encours.settings import Settings
from plugins.encours_pages import figures

pytestmark = pytest.mark.long

PICTURE: FloatRect = {"x": 0, "y": 0, "width": 1280, "height": 432}
UP = "from encours.cli import main; main()"
KEYS = ("acme-s4", "globex-intacct", "nippon-s4")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass(frozen=True)
class Up:
    """A running `encours up --sandbox`: what it printed, and who may log in."""

    home: Path
    said: str
    url: str
    passwords: dict[str, str]

    def rest(self, user: str) -> Rest:
        login = {"username": user, "password": self.passwords[user]}
        token = requests.post(f"{self.url}/auth/token", json=login, timeout=30).json()["access_token"]
        return Rest(f"{self.url}/api/v2", {"Authorization": f"Bearer {token}"})


@dataclass(frozen=True)
class Rest:
    """Airflow's REST API for one user."""

    url: str
    headers: dict[str, str]

    def get(self, path: str, **query: str) -> Any:
        answer = requests.get(self.url + path, params=query, headers=self.headers, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, body: dict[str, Any]) -> Any:
        answer = requests.post(self.url + path, json=body, headers=self.headers, timeout=30)
        answer.raise_for_status()
        return answer.json()


@pytest.fixture
def up() -> Iterator[Up]:
    chromium()  # first: without a browser there is no need to start everything
    home = Path(tempfile.mkdtemp(prefix="encours-", dir="/tmp"))
    home.chmod(0o711)
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "ENCOURS_"))}
    command = [sys.executable, "-c", UP, "up", "--sandbox", "--port", "18080"]
    with subprocess.Popen(
        command,
        env=clean | {"ENCOURS_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield said(home, process)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
            shutil.rmtree(home)


def said(home: Path, process: subprocess.Popen[str]) -> Up:
    """Waits for the last line of the start."""
    lines: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if line.startswith("Ctrl-C"):
            break
    text = "".join(lines)
    found = re.search(r"Encours runs: (\S+)", text)
    assert found, text
    return Up(home, text, found[1], dict(re.findall(r"login (\w+) +password (\S+)", text)))


def chromium() -> str:
    """Where the browser is; fails naming what to install."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.fail("No Chromium on the path. Install it: apt-get install chromium")
    return path


@pytest.fixture
def page(up: Up) -> Iterator[Page]:
    """A fresh browser in which the viewer has logged in, on the way to our page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        page = browser.new_context(viewport={"width": 1280, "height": 720}, device_scale_factor=2).new_page()
        page.goto(f"{up.url}/plugin/encours")
        page.fill("input[name=username]", "viewer")
        page.fill("input[name=password]", up.passwords["viewer"])
        page.click("button[type=submit]")
        page.wait_for_url("**/plugin/encours/encours/")
        yield page
        browser.close()


def our(page: Page) -> Frame:
    """The frame with our page in it, loaded."""
    page.frame_locator("iframe").locator("h1").wait_for()
    frame = page.frames[-1]
    assert "/encours/" in frame.url
    return frame


def row(frame: Frame, key: str) -> dict[str, str]:
    """What the page prints of a connector, by the name of the cell."""
    line = frame.locator(f"tr[data-connector={key}]")
    cells = ("state", "difference", "open", "publication", "rejects", "rows")
    return {name: plain(line.locator(f".{name}").first.inner_text()) for name in cells}


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ").strip()


def opened(frame: Frame, key: str) -> list[str]:
    """The open amounts of a connector, all currencies, the list unfolded."""
    cell = frame.locator(f"tr[data-connector={key}] .open")
    if cell.locator("summary").count():
        cell.locator("summary").click()
        first = plain(cell.locator("summary").inner_text()).split(" +")[0]
        return [first, *(plain(one) for one in cell.locator("li").all_inner_texts())]
    return [plain(cell.inner_text())]


def event(rest: Rest, key: str) -> dict[str, Any]:
    """The figures in the newest asset event of a connector."""
    events = rest.get("/assets/events", source_dag_id=f"encours_{key}", order_by="-timestamp")["asset_events"]
    return dict(events[0]["extra"])


def ended(rest: Rest, dag: str, run: str) -> str:
    """The state in which a DAG run ends."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        state = str(rest.get(f"/dags/{dag}/dagRuns/{run}")["state"])
        if state in {"success", "failed"}:
            return state
        time.sleep(0.5)
    pytest.fail(f"{dag} {run} does not end")


def test_people_see_what_was_published_and_what_is_held(up: Up, page: Page) -> None:
    viewer = up.rest("viewer")
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(complaint(message)))

    for key in KEYS:
        assert re.search(rf"{key}: [\d,]+ rows, [\d.]+ s, equal\n", up.said), up.said
        (run,) = viewer.get(f"/dags/encours_{key}/dagRuns")["dag_runs"]
        assert run["state"] == "success"
    assert requests.get(f"{up.url}/encours/", timeout=10).status_code == 401

    frame = our(page)
    for key in KEYS:
        extra = event(viewer, key)
        assert row(frame, key) | {"open": ""} == {
            "state": "Tied out",
            "difference": "0.00",
            "open": "",
            "publication": figures.count(extra["publication"]),
            "rejects": str(extra["rejects"]),
            "rows": figures.count(extra["rows_read"]),
        }
        amounts = [(Decimal(value), currency) for value, currency in extra["open_amounts"]]
        assert opened(frame, key) == [plain(figures.amount(value, currency)) for value, currency in amounts]
        assert len(amounts) > 1
        assert sum(value for value, _ in amounts) > 0

    page.evaluate("document.documentElement.className = 'dark'")
    frame.wait_for_selector("html[data-theme=dark]", timeout=1000)
    page.evaluate("document.documentElement.className = 'light'")
    frame.wait_for_selector("html[data-theme=light]", timeout=1000)

    published = row(frame, "nippon-s4")["publication"]
    hold(up, "nippon-s4")
    page.reload()
    frame = our(page)
    held = row(frame, "nippon-s4")
    assert (held["state"], held["publication"]) == ("Held", published)
    assert re.fullmatch(r"[\d,.\N{MINUS SIGN}]+ [A-Z]{3}", held["difference"])
    assert held["difference"] != "0.00"
    frame.click("text=All 3")
    frame.wait_for_selector("tr[data-connector=acme-s4]")
    picture = page.screenshot(path=os.environ.get("ENCOURS_PICTURE"), clip=PICTURE)
    assert len(picture) > 20_000

    frame = our(page)
    frame.click("tr[data-connector=nippon-s4] a[data-shell]")
    page.wait_for_url("**/dags/encours_nippon-s4")
    assert len(page.frames) == 1
    assert [one for one in complaints if one] == []


def complaint(message: ConsoleMessage) -> str:
    """What the browser says against our page, if it does; Airflow's own pages speak too."""
    return message.text if "Content Security Policy" in message.text or "/encours/" in message.text else ""


def hold(up: Up, key: str) -> None:
    """Posts to the control account by hand in the ERP, and lets Airflow sync once more."""
    admin = up.rest("admin")
    dag = f"encours_{key}"
    with Hub(Settings(home=up.home)) as hub:
        erp = hub.registry.connector(key).settings["base_url"]
    fault = {"name": "manual_journal", "on": True}
    requests.post(f"{erp}/_sandbox/faults", json=fault, timeout=30).raise_for_status()
    run = admin.post(f"/dags/{dag}/dagRuns", {"logical_date": None})["dag_run_id"]
    assert ended(admin, dag, run) == "failed"
    (task,) = admin.get(f"/dags/{dag}/dagRuns/{run}/taskInstances")["task_instances"]
    assert (task["state"], task["try_number"]) == ("failed", 1)
    log = admin.get(f"/dags/{dag}/dagRuns/{run}/taskInstances/sync/logs/1")
    assert f"{key}: held: " in str(log)
    assert "no customer: posted to the account" in str(log)
