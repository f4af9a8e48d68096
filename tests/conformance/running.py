"""A simulated ERP in a process of its own, and its control addresses over HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import requests

from connectors.kit.testing.ports import Owed, Unapplied


@dataclass
class Running:
    """One tenant of a running sandbox; `place` is what it said when it was ready."""

    process: subprocess.Popen[str]
    folder: tempfile.TemporaryDirectory[str]
    place: Mapping[str, Any]
    control: str  # the origin of its control addresses
    http: requests.Session = field(default_factory=requests.Session)
    _clock: tuple[datetime, float] | None = None  # its moment, and ours when it was asked for

    @classmethod
    def start(cls, tenant: str, *, items: int, today: date) -> Running:
        """Starts one tenant with a history that ends on this day."""
        folder = tempfile.TemporaryDirectory(prefix="conformance-")
        command = [
            sys.executable, "-m", "sandbox", "start", "--home", folder.name, "--tenant", tenant,
            "--items", str(items), "--today", today.isoformat(),
        ]  # fmt: skip
        root = Path(__file__).resolve().parents[2]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)
        assert process.stdout is not None
        line = process.stdout.readline()
        process.stdout.close()
        assert line, f"the sandbox ended with {process.wait()}"
        place = json.loads(line)["tenants"][tenant]
        running = cls(process, folder, place, place.get("control", place["url"]))
        running.http.trust_env = False
        return running

    def stop(self) -> None:
        """Ends the process."""
        self.http.close()
        self.process.terminate()
        self.process.wait(timeout=20)
        self.folder.cleanup()

    def get(self, address: str, **query: Any) -> Any:
        """What a control address answers."""
        return self._answered(self.http.get(f"{self.control}/_sandbox/{address}", params=query, timeout=60))

    def post(self, address: str, wish: Mapping[str, Any]) -> Any:
        """What a control address answers to a wish."""
        self._clock = None  # business may move the day
        return self._answered(self.http.post(f"{self.control}/_sandbox/{address}", json=wish, timeout=60))

    def moved(self) -> None:
        """Others have moved its clock, which is asked for again."""
        self._clock = None

    def well(self) -> None:
        """Switches faults off and forgets misbehaviours."""
        for fault in self.get("faults")["faults"]:
            self.post("faults", {"name": fault["name"], "on": False})
        self._answered(self.http.delete(f"{self.control}/_sandbox/misbehave", timeout=60))

    def misbehaviours(self) -> set[str]:
        """Every kind of misbehaviour that it offers, as it says when asked for another."""
        url = f"{self.control}/_sandbox/misbehave"
        answer = self.http.post(url, json={"kind": "?"}, timeout=60)
        assert answer.status_code == 400
        return set(answer.json()["error"].partition("choose from ")[2].split(", "))

    def now(self) -> datetime:
        """The moment of its clock, asked for once a wish: from then on it goes as ours does."""
        if self._clock is None:
            told = self.get("clock")["now"]
            self._clock = datetime.fromisoformat(told).replace(tzinfo=UTC), time.monotonic()
        moment, asked = self._clock
        return moment + timedelta(seconds=int(time.monotonic() - asked))

    def today(self) -> date:
        """The day of its books."""
        return self.now().date()

    @staticmethod
    def _answered(answer: requests.Response) -> Any:
        assert answer.status_code == 200, answer.text
        return answer.json()


def owed(item: Mapping[str, Any]) -> Owed:
    """An open item of an evening."""
    return Owed(
        item["customer"],
        item["currency"],
        Decimal(item["original"]),
        Decimal(item["open"]),
        item["company_currency"],
        Decimal(item["company_original"]),
        Decimal(item["company_open"]),
        date.fromisoformat(item["due_date"]) if item["due_date"] else None,
    )


def unapplied(receipt: Mapping[str, Any]) -> Unapplied:
    """What is not applied of a receipt of an evening."""
    return Unapplied(
        receipt["currency"],
        Decimal(receipt["unapplied"]),
        receipt["company_currency"],
        Decimal(receipt["company_unapplied"]),
    )
