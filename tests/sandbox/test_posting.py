"""Business posted continuously, and the balances of the journal at every moment of it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import defaultdict
from decimal import Decimal
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.sandbox.conftest import LINES, TODAY
from tests.sandbox.test_evenings import tenant

if TYPE_CHECKING:
    from tests.sandbox.conftest import Erp, Sandbox, Start
    from tests.sandbox.intacct_client import Intacct

pytestmark = pytest.mark.long
NAMES = ["acme", "nippon", "globex"]
CONTROL = ("12000", "12100", "24000", "12100000", "12120000", "21190000")

Sums = dict[tuple[str, str, str], tuple[Decimal, Decimal]]


@pytest.fixture(scope="module")
def running(shared_start: Start) -> Sandbox:
    return shared_start("--items", "300", "--today", TODAY.isoformat())


def address(of: Erp | Intacct) -> str:
    return getattr(of, "control_url", of.url)


def moments(of: Erp | Intacct, **window: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = of.control("moments", **window)["moments"]
    return found


def balances(moment: dict[str, Any]) -> Sums:
    return {
        (unit, account, currency): (Decimal(a), Decimal(c))
        for unit, account, currency, a, c in moment["balances"]
    }


def journal(of: Erp | Intacct) -> tuple[Sums, str]:
    """The journal's balances now, and the digest of those per customer, as README.md says."""
    sums: defaultdict[tuple[str, str, str], list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    digest = 0
    for row in of.control("journal")["balances"]:
        cell = (row.get("entity") or row["company_code"], row["account"], row["currency"])
        amount = Decimal(row["amount"])
        sums[cell][0] += amount
        sums[cell][1] += Decimal(row["company_amount"])
        if row["customer"] and row["account"] in CONTROL and amount:
            text = "|".join((*cell, row["customer"], f"{amount.normalize():f}"))
            digest += int.from_bytes(sha256(text.encode()).digest()[:8])
    return {cell: (a, c) for cell, (a, c) in sums.items() if a or c}, f"{digest % 2**64:016x}"


def post_at(of: Erp | Intacct, **rate: float) -> dict[str, Any]:
    """Post at a rate until its seconds are over; what was posted and left out in them."""
    before = of.control("rate", rate)
    while True:
        told = of.control("rate", since=before["last"])
        if not told["running"]:
            return {"posted": told["posted"], "left_out": told["left_out"] - before["left_out"]}


@pytest.mark.parametrize("name", NAMES)
def test_each_moment_has_the_balances_of_the_journal(running: Sandbox, name: str) -> None:
    of = tenant(running, name)
    known = {}
    for kind in of.control("rate")["mix"]:
        if requests.post(f"{address(of)}/_sandbox/post", json={kind: 1}, timeout=30).ok:
            known[of.control("moments")["last"]] = journal(of)
    assert len(known) > 12
    first, last = min(known), max(known)
    told = {moment["number"]: moment for moment in moments(of, since=first, until=last)}
    assert list(told) == list(range(first, last + 1))
    assert {n: (balances(told[n]), told[n]["customers"]) for n in known} == known
    assert len({moment["customers"] for moment in told.values()}) > len(known) / 2


@pytest.mark.parametrize("name", ["acme", "globex"])
def test_a_window_begins_with_the_moment_that_was_in_force(running: Sandbox, name: str) -> None:
    of = tenant(running, name)
    for _ in range(3):
        of.control("post", {"invoices": 1})
    first, second, third = moments(of)[-3:]
    assert moments(of, since=second["number"]) == [second, third]
    assert moments(of, since=second["at"], until=second["at"]) == [second]
    assert moments(of, until=first["number"])[-1] == first
    of.control("post", {"due_dates": 1})
    assert moments(of)[-1] == third
    for since in ("soon", "2026-11-24T08:00:00", "2020-01-01T00:00:00+00:00"):
        answer = requests.get(f"{address(of)}/_sandbox/moments", params={"since": since}, timeout=30)
        assert (answer.status_code, bool(answer.json()["error"])) == (400, True)


@pytest.mark.parametrize(("name", "fault"), [("acme", "manual_journal"), ("globex", "manual_journal")])
def test_a_journal_entry_without_a_record_is_a_moment_as_well(
    running: Sandbox, name: str, fault: str
) -> None:
    of = tenant(running, name)
    before = journal(of)
    for on in (True, False):
        of.control("faults", {"name": fault, "on": on})
        assert (balances(moments(of)[-1]), moments(of)[-1]["customers"]) == journal(of)
        assert (journal(of) == before) != on


@pytest.mark.parametrize("name", ["acme", "globex"])
def test_as_many_documents_are_posted_as_the_rate_says(running: Sandbox, name: str) -> None:
    of = tenant(running, name)
    told = post_at(of, rate=40, seconds=1)
    assert len(told["posted"]) + told["left_out"] == 40
    assert len({document["kind"] for document in told["posted"]}) > 4
    bursts = post_at(of, rate=8, burst=0.5, pause=0.5, seconds=2)
    assert len(bursts["posted"]) + bursts["left_out"] == 8
    numbers = [document["number"] for document in told["posted"] + bursts["posted"]]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_every_answer_shows_the_books_of_one_moment(running: Sandbox) -> None:
    acme = running.tenants["acme"]
    cell = ("CompanyCode", "GLAccount", "TransactionCurrency")
    amounts = ("AmountInTransactionCurrency", "AmountInCompanyCodeCurrency")
    select = ",".join((*cell, *amounts, "CompanyCodeCurrency"))
    acme.control("paging", {"set": LINES.partition("/")[2], "limit": None})
    first = acme.control("moments")["last"]
    acme.control("rate", {"rate": 100})
    seen: list[Sums] = []
    while len(seen) < 5:
        rows = acme.get(LINES, select=select).json()["d"]["results"]
        found = {tuple(r[n] for n in cell): tuple(Decimal(r[n]) for n in amounts) for r in rows}
        sums = {key: pair for key, pair in found.items() if any(pair)}
        if sums not in seen:
            seen.append(sums)  # type: ignore[arg-type]
    assert acme.control("rate", {"rate": 0})["running"] is False
    told = [balances(moment) for moment in moments(acme, since=first)]
    assert all(sums in told for sums in seen)


@pytest.mark.parametrize(
    "wish", [{"rate": 1000}, {"rate": -1}, {"rate": 1, "pause": -1}, {"speed": 1}, {"rate": "x"}]
)
def test_a_wrong_rate_is_refused(running: Sandbox, wish: dict[str, Any]) -> None:
    of = running.companies["globex"]
    answer = requests.post(f"{of.control_url}/_sandbox/rate", json=wish, timeout=30)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert not of.control("rate")["running"]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "sandbox", *arguments]


def test_the_command_prints_what_it_posted(running: Sandbox) -> None:
    of = running.companies["globex"]
    before = of.control("rate")
    done = subprocess.run(
        command("post", "--url", of.control_url, "--rate", "20", "--seconds", "1"),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    documents = [json.loads(line) for line in done.stdout.splitlines()]
    assert documents == of.control("rate", since=before["last"])["posted"]
    assert f"{len(documents)} posted" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "arguments",
    [
        ["post", "--url", "URL", "--rate", "1000"],
        ["post", "--url", "http://127.0.0.1:9", "--rate", "1"],
        ["month", "--url", "http://127.0.0.1:9"],
    ],
)
def test_a_command_that_cannot_be_done_says_so(running: Sandbox, arguments: list[str]) -> None:
    told = [running.companies["globex"].control_url if each == "URL" else each for each in arguments]
    done = subprocess.run(command(*told), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_stops_the_posting(running: Sandbox, number: signal.Signals) -> None:
    of = running.companies["globex"]
    before = of.control("rate")["last"]
    with subprocess.Popen(
        command("post", "--url", of.control_url, "--rate", "20"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        process.stderr.readline()
        process.send_signal(number)
        printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    told = of.control("rate", since=before)
    assert not told["running"]
    assert [json.loads(line) for line in printed.splitlines()] == told["posted"]
    assert told["posted"]
