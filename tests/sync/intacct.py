"""A simulated Sage Intacct company as its own operator sees it, and what is to be published of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from tests.sync.conftest import Installation

KEY = "globex-intacct"


@dataclass
class Intacct:
    """One simulated company as its own operator sees it."""

    told: dict[str, Any]

    def control(self, address: str, **wish: Any) -> Any:
        """What a control address answers."""
        url = f"{self.told['control']}/_sandbox/{address}"
        answer = requests.post(url, json=wish, timeout=60) if wish else requests.get(url, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def well(self) -> None:
        """Switches every fault off and forgets every misbehaviour."""
        for fault in self.control("faults")["faults"]:
            self.control("faults", name=fault["name"], on=False)
        requests.delete(f"{self.told['control']}/_sandbox/misbehave", timeout=60).raise_for_status()


@contextmanager
def started(home: Path, *options: str) -> Iterator[Intacct]:
    """A company that ends with the block."""
    place = ["--home", str(home), "--tenant", "globex"]
    command = [sys.executable, "-m", "sandbox", "start", *place, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Intacct(json.loads(process.stdout.readline())["tenants"]["globex"])
        finally:
            process.terminate()


def owed(installation: Installation) -> dict[tuple[str, str], Decimal]:
    """What is published as open, by entity and account, in company currency."""
    found: dict[tuple[str, str], Decimal] = {}
    for item in installation.of(KEY, "open_item"):
        place = (item["entity"], item["account"])
        found[place] = found.get(place, Decimal(0)) + item["company_open"]
    for receipt in installation.of(KEY, "receipt"):
        place = (receipt["entity"], receipt["account"])
        found[place] = found.get(place, Decimal(0)) - receipt["company_unapplied"]
    return {place: amount for place, amount in found.items() if amount}


def journal(erp: Intacct) -> dict[tuple[str, str], Decimal]:
    """The balances of the simulated ledger, of receivables and advances."""
    found: dict[tuple[str, str], Decimal] = {}
    for balance in erp.control("journal")["balances"]:
        if balance["account"] in ("12000", "12100", "24000"):
            place = (balance["entity"], balance["account"])
            found[place] = found.get(place, Decimal(0)) + Decimal(balance["company_amount"])
    return {place: amount for place, amount in found.items() if amount}


def closed(installation: Installation) -> dict[str, tuple[str, str]]:
    """The two proofs of every line that closed, by its number."""
    return {one.number: (one.first_proof, one.second_proof) for one in installation.hub.closings(KEY)}
