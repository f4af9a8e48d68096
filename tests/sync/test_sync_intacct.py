"""Whole syncs of a simulated Sage Intacct: equal books whatever is posted, sessions that end, faults, secrets."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests

from encours import simulation
from encours.credential import NewCredential
from identity.secret import Secret
from receivables.errors import Misconfigured, RateLimited, Rejected, Transient
from tests.sync.conftest import Install, Installation

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


@pytest.fixture(scope="module")
def erp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intacct]:
    with started(tmp_path_factory.mktemp("sandbox"), "--items", "300") as running:
        yield running


@pytest.fixture(scope="module")
def installation(install: Install) -> Installation:
    return install()


@pytest.fixture(scope="module")
def connected(installation: Installation, erp: Intacct) -> Installation:
    """An installation that has loaded the company for the first time."""
    assert simulation.connect(installation.hub, {"globex": erp.told}) == [KEY]
    assert simulation.connect(installation.hub, {"globex": erp.told}) == [KEY], "twice is once"
    result = installation.hub.sync(KEY)
    assert (result.state, result.verdict, result.grade, result.rejects) == ("published", "equal", "ledger", 0)
    assert {line.account for line in result.totals} == {"12000", "12100", "24000"}
    assert all(line.erp == line.hub for line in result.totals)
    return installation


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


def test_what_is_published_is_the_journal(connected: Installation, erp: Intacct) -> None:
    assert owed(connected) == journal(erp)
    customers = connected.of(KEY, "customer")
    assert {c["entity"] for c in customers} == {"N-100", "E-200", "P-900"}
    assert not any(c["incomplete"] for c in customers)
    assert {e["code"]: e["currency"] for e in connected.of(KEY, "legal_entity")} == {
        "N-100": "USD",
        "E-200": "EUR",
        "P-900": "USD",
    }


def test_accounts_and_sums_that_a_first_load_finds_are_no_move_of_the_books(
    install: Install, tmp_path: Path
) -> None:
    """The private entity has foreign documents on one account alone, which nothing says before it is read."""
    with started(tmp_path, "--items", "60", "--today", "2026-03-24") as small:
        installation = install()
        simulation.connect(installation.hub, {"globex": small.told})
        result = installation.hub.sync(KEY)
    assert (result.state, result.verdict) == ("published", "equal")
    told = {(line.entity, line.account, line.basis) for line in result.totals}
    assert ("P-900", "12000", "document") in told
    assert ("P-900", "12100", "company") not in told


@pytest.mark.parametrize(
    "kind",
    [
        "invoices", "payments", "partials", "applied_credits", "overpayments", "advances", "group_payments",
        "reversals", "payment_reversals", "credit_memos", "debit_memos", "order_entry_credits", "due_dates",
        "new_customers", "renamed_customers", "drafts", "deletes", "reissues",
    ],
)  # fmt: skip
def test_every_kind_of_business_is_seen_by_the_next_run(
    connected: Installation, erp: Intacct, kind: str
) -> None:
    erp.control("post", **{kind: 2})
    result = connected.hub.sync(KEY, sweep=False)
    assert (result.state, result.verdict) == ("published", "equal"), result.explanation
    assert owed(connected) == journal(erp)


def test_a_statement_names_documents_as_people_know_them(connected: Installation, erp: Intacct) -> None:
    (paid,) = erp.control("post", partials=1)["posted"]
    assert connected.hub.sync(KEY, sweep=False).verdict == "equal"
    (part, *_) = [a for a in connected.of(KEY, "allocation") if a["source_number"] == paid["key"]]
    (document,) = [d for d in connected.of(KEY, "document") if d["number"] == part["target_number"]]
    (receipt,) = [r for r in connected.of(KEY, "receipt") if r["number"] == paid["key"]]
    assert document["printed"] != document["number"]
    code, out, _ = connected.command("statement", document["customer"], "--connector", KEY)
    assert code == 0
    for printed in (f"{document['printed']}/1", f"{receipt['printed']}/1"):
        assert printed in out.partition("PAID BY")[2], out


def test_money_at_another_rate_states_its_exchange_difference(connected: Installation, erp: Intacct) -> None:
    known = {(a["number"], a["sequence"]) for a in connected.of(KEY, "allocation")}
    (paid,) = erp.control("post", exchange_payments=1)["posted"]
    result = connected.hub.sync(KEY, sweep=False)
    assert (result.verdict, owed(connected)) == ("equal", journal(erp))
    new = [a for a in connected.of(KEY, "allocation") if (a["number"], a["sequence"]) not in known]
    (receipt,) = [r for r in connected.of(KEY, "receipt") if r["number"] == paid["key"]]
    gave = sum(a["company_amount"] - a["company_discount"] + a["company_difference"] for a in new)
    rounded = Decimal("0.005") * len(new)  # the share of each allocation is rounded by itself
    assert abs(gave - (receipt["company_amount"] - receipt["company_unapplied"])) <= rounded
    assert any(a["company_difference"] for a in new)
    assert not any(
        a["company_difference"] for a in connected.of(KEY, "allocation", "currency = company_currency")
    )


def test_a_sweep_shows_everything_that_is_open(connected: Installation) -> None:
    result = connected.hub.sync(KEY, sweep=True)
    assert (result.state, result.verdict) == ("published", "equal")
    assert connected.last_run(KEY).suspects == 0


def closed(installation: Installation) -> dict[str, tuple[str, str]]:
    """The two proofs of every line that closed, by its number."""
    return {one.number: (one.first_proof, one.second_proof) for one in installation.hub.closings(KEY)}


def test_a_deletion_closes_in_an_hourly_run_with_two_proofs(connected: Installation, erp: Intacct) -> None:
    before = set(closed(connected))
    posted = erp.control("post", deletes=3)["posted"]
    result = connected.hub.sync(KEY, sweep=False)
    assert (result.state, result.verdict, result.mode) == ("published", "equal", "delta"), result.explanation
    found = {number: proofs for number, proofs in closed(connected).items() if number not in before}
    assert set(found) == {one["key"] for one in posted}
    for first, second in found.values():
        assert re.fullmatch(r"Entry \d+ of Intacct's audit history says that it was deleted on .*\.", first)
        assert second == "A read by key does not find it."
    code, out, _ = connected.command("suspects", KEY, "--json")
    told = json.loads(out)
    assert (code, told["open"]) == (0, [])
    assert {one["number"]: (one["first_proof"], one["second_proof"]) for one in told["closed"]} == closed(
        connected
    )
    code, out, _ = connected.command("suspects")
    assert (code, out.count("A read by key does not find it.") >= 3) == (0, True)
    assert "The last sweep showed everything that is open." in out


def test_an_entry_that_the_history_cannot_show_costs_the_others_nothing(
    install: Install, tmp_path: Path
) -> None:
    """In a company of its own: its days run ahead of ours."""
    with started(tmp_path, "--items", "300") as erp:
        connected = install()
        simulation.connect(connected.hub, {"globex": erp.told})
        assert connected.hub.sync(KEY).verdict == "equal"
        hidden, *others = [
            erp.control("post", on=day, deletes=1)["posted"][0]["key"] for day in next_days(erp, 3)
        ]
        erp.control("misbehave", kind="row_failure", object="AUDITHISTORY", key=hidden, times=1000)
        before = connected.visible(KEY)

        result = connected.hub.sync(KEY, sweep=False)

        assert result.state == "held", "one invoice is still open here, and the ledger does not hold it"
        assert len({line.customer for line in result.differences} - {None}) == 1
        (reject,) = connected.hub.rejects(KEY)
        assert (reject.stream, reject.code, reject.field) == ("deletions", "not_shown", "ACCESSTIME")
        assert connected.visible(KEY) == before

        result = connected.hub.sync(KEY, sweep=True)

        assert (result.state, result.verdict) == ("published", "equal"), result.explanation
        assert owed(connected) == journal(erp)
        proofs = closed(connected)
        assert [proofs[number][1] for number in others] == ["A read by key does not find it."] * 2
        assert proofs[hidden] == (
            f"The sweep of run {result.run} does not show it.",
            "A read by key does not find it, and the ledger agrees without it and differs with it.",
        )
        erp.well()
        assert connected.hub.sync(KEY, sweep=False).verdict == "equal"
        assert connected.hub.rejects(KEY) == [], "the moment was shown again"


def next_days(erp: Intacct, many: int) -> list[str]:
    """The days after the company's last one: business done on them is entered at moments apart."""
    today = date.fromisoformat(erp.control("journal")["today"])
    return [(today + timedelta(days=ahead)).isoformat() for ahead in range(1, many + 1)]


def test_an_entity_of_which_the_sweep_shows_nothing_closes_nothing(
    connected: Installation, erp: Intacct
) -> None:
    before = closed(connected)
    (hidden, *_) = [
        fault["did"] for fault in erp.control("faults", name="entity_hidden")["faults"] if fault["did"]
    ]
    result = connected.hub.sync(KEY, sweep=True)
    assert result.state == "published", result.explanation
    entity = hidden[0]["entity"]
    (note,) = [note for note in result.notes if "The sweep shows" in note]
    assert re.search(rf"shows 0 of [1-9]\d* open lines of {entity}: too few to tell what is gone", note)
    assert (connected.last_run(KEY).suspects, closed(connected)) == (0, before)
    assert owed(connected) == journal(erp)
    erp.well()
    assert connected.hub.sync(KEY, sweep=True).notes == []


def test_what_is_hidden_is_told_apart_from_what_is_deleted(connected: Installation, erp: Intacct) -> None:
    before = set(closed(connected))
    erp.control("faults", name="row_hidden")
    deleted = erp.control("post", deletes=1)["posted"][0]["key"]
    result = connected.hub.sync(KEY, sweep=True)
    assert (result.state, result.verdict) == ("published", "equal"), result.explanation
    assert set(closed(connected)) - before == {deleted}
    hidden = connected.hub.suspects(KEY)
    assert connected.last_run(KEY).suspects == len(hidden) > 0
    assert [note for note in result.notes if "the ledger still holds" in note], result.notes
    assert owed(connected) == journal(erp)
    erp.well()
    assert connected.hub.sync(KEY, sweep=True).verdict == "equal"
    assert connected.hub.suspects(KEY) == []


def test_a_month_that_is_read_again_changes_nothing_that_is_right(connected: Installation) -> None:
    items = connected.of(KEY, "open_item")
    first = max(item["posted_on"] for item in items).replace(day=1)
    following = (first + timedelta(days=31)).replace(day=1)
    numbers = {item["number"] for item in items if first <= item["posted_on"] < following}
    before = connected.visible(KEY)

    result = connected.hub.sync(KEY, period=(first, following), publish=False)

    assert (result.state, result.reason, result.mode) == ("held", "asked", "backfill")
    assert result.rows_staged >= len(numbers) > 0
    assert result.explanation == ["Nothing that is published would change."]
    done = connected.hub.decisions(KEY).publish()
    assert (done.state, done.sentence, done.grade) == ("published", "equal", "ledger")
    assert connected.visible(KEY).keys() == before.keys()
    for table in ("open_item", "receipt", "allocation", "document"):
        assert connected.visible(KEY)[table] == before[table]


@pytest.mark.parametrize("kind", ["renumbered_customers", "merged_customers"])
def test_a_customer_whose_number_changed_keeps_what_it_owes(
    connected: Installation, erp: Intacct, kind: str
) -> None:
    before = {(one["entity"], one["number"]): one["customer"] for one in connected.of(KEY, "open_item")}
    aliases = {one["number"] for one in connected.of(KEY, "customer_alias")}
    erp.control("post", **{kind: 1})
    result = connected.hub.sync(KEY, sweep=False)
    assert (result.state, result.verdict) == ("published", "equal"), result.explanation
    after = {(one["entity"], one["number"]): one["customer"] for one in connected.of(KEY, "open_item")}
    moved = {(before[place], after[place]) for place in before if before[place] != after[place]}
    assert len(moved) == 1
    ((old, new),) = moved
    assert old not in after.values()
    found = [one for one in connected.of(KEY, "customer_alias") if one["number"] not in aliases]
    assert {(one["number"], one["alias_of"]) for one in found} == {(old, new)}
    assert old not in {one["number"] for one in connected.of(KEY, "customer")}
    for sweep in (False, True):
        assert connected.hub.sync(KEY, sweep=sweep).verdict == "equal"
        found_now = {(o["entity"], o["number"]): o["customer"] for o in connected.of(KEY, "open_item")}
        assert found_now == after
        assert old not in {one["number"] for one in connected.of(KEY, "customer")}
    (statement,) = connected.hub.statement(old, connector=KEY)
    assert {one.number for one in statement.customers} == {new}


def test_a_session_that_ends_in_the_middle_is_renewed_once(connected: Installation, erp: Intacct) -> None:
    connected.change(KEY, page_size=50)
    erp.control("misbehave", kind="session_expired", function="query", object="ARINVOICE", after=2, times=1)
    result = connected.hub.sync(KEY)
    connected.change(KEY, page_size=2000)
    erp.well()
    assert (result.state, result.verdict) == ("published", "equal")
    functions = [request["function"] for request in erp.control("log")["requests"]]
    last = len(functions) - functions[::-1].index("getAPISession") - 1
    assert functions[last - 1] == functions[last + 1] == "query", "the same call, after one sign-in"


@pytest.mark.parametrize(
    ("kind", "error", "says"),
    [
        ("wrong_login", Misconfigured, "the user's pair is wrong"),
        ("wrong_sender", Misconfigured, "the sender's pair is wrong"),
        ("sender_not_authorised", Misconfigured, "has not authorised the sender id"),
    ],
)
def test_a_refused_sign_in_names_the_pair(
    connected: Installation, erp: Intacct, kind: str, error: type[Exception], says: str
) -> None:
    erp.control("misbehave", kind=kind, function="getAPISession", times=5)
    with pytest.raises(error, match=says):
        connected.hub.sync(KEY)
    erp.well()
    assert connected.last_run(KEY).state == "failed"
    assert connected.hub.sync(KEY).verdict == "equal"


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("acknowledged", Misconfigured),
        ("login_page", Misconfigured),
        ("too_many_requests", RateLimited),
        ("unavailable", Transient),
        ("bad_gateway", Transient),
        ("try_again", Transient),
        ("no_result", Transient),
        ("malformed", Rejected),
        ("truncated", Transient),
        ("doctype", Rejected),
        ("short_page", Rejected),
        ("result_failure", Rejected),
        ("result_two_errors", Rejected),
    ],
)
def test_an_answer_that_is_none_publishes_nothing(
    connected: Installation, erp: Intacct, kind: str, error: type[Exception]
) -> None:
    before = connected.visible(KEY)
    erp.control("misbehave", kind=kind, function="query", object="ARINVOICE", times=9)
    with pytest.raises(error) as raised:
        connected.hub.sync(KEY)
    erp.well()
    assert KEY in str(raised.value)
    assert connected.visible(KEY) == before
    assert connected.hub.sync(KEY).verdict == "equal"


@pytest.mark.parametrize(
    ("name", "reason"), [("manual_journal", "no customer"), ("wrong_sign", "customer C-")]
)
def test_books_that_differ_are_held_and_explained(
    connected: Installation, erp: Intacct, name: str, reason: str
) -> None:
    (did,) = [fault["did"] for fault in erp.control("faults", name=name)["faults"] if fault["name"] == name]
    result = connected.hub.sync(KEY, sweep=True)
    erp.well()
    assert result.state == "held", (did, result)
    assert abs(result.differences[0].difference) == abs(Decimal(did[0]["company_amount"]))
    assert any(reason in line for line in result.explanation), result.explanation
    assert connected.hub.sync(KEY, sweep=True).verdict == "equal"


def test_two_errors_that_cancel_are_held_and_named(connected: Installation, erp: Intacct) -> None:
    (did,) = [
        fault["did"]
        for fault in erp.control("faults", name="cancelling_errors")["faults"]
        if fault["name"] == "cancelling_errors"
    ]
    assert sum(Decimal(one["company_amount"]) for one in did) == 0
    result = connected.hub.sync(KEY, sweep=True)
    erp.well()
    assert (result.state, result.grade) == ("held", "none")
    whole = [line for line in result.totals if line.basis == "company"]
    assert all(line.erp == line.hub for line in whole), "no account differs"
    expected = {
        (one["entity"], one["account"], one["customer"], -Decimal(one["company_amount"])) for one in did
    }
    assert {
        (line.entity, line.account, line.customer, line.difference)
        for line in result.differences
        if line.basis == "company"
    } == expected
    for one in did:
        assert any(f"customer {one['customer']}" in line for line in result.explanation), result.explanation
    assert connected.hub.sync(KEY, sweep=True).verdict == "equal"


def test_what_did_not_change_is_not_staged_again(connected: Installation, erp: Intacct) -> None:
    connected.hub.sync(KEY, sweep=False)
    since = erp.control("log")["last"]
    result = connected.hub.sync(KEY, sweep=False)
    log = [request for request in erp.control("log")["requests"] if request["number"] > since]
    deletions = sum(request["rows"] for request in log if request["object"] == "AUDITHISTORY")
    assert (result.state, result.rows_staged) == ("published", deletions), "those of the overlap, each time"
    assert result.rows_read > 0


@pytest.mark.parametrize(
    "name", ["row_hidden", "entity_hidden", "receipt_hidden", "line_hidden", "master_hidden"]
)
def test_rows_that_are_hidden_take_nothing_away(connected: Installation, erp: Intacct, name: str) -> None:
    erp.control("faults", name=name)
    result = connected.hub.sync(KEY, sweep=True)
    erp.well()
    assert result.state == "published"
    assert connected.hub.sync(KEY, sweep=True).verdict == "equal"
    assert owed(connected) == journal(erp)


def test_the_command_line_adds_tests_and_shows_it_without_a_secret(
    installation: Installation, erp: Intacct
) -> None:
    told = erp.told
    command = [
        *("connectors", "add", "sage_intacct", "by-hand", "--tenant", "globex", "--user", told["user"]),
        *("--sender-id", told["sender_id"], "--company-id", told["company_id"], "--base-url", told["url"]),
        *("--endpoint-host", "127.0.0.1", "--entities", "N-100,E-200", "--password-stdin"),
    ]
    process = installation.started(*command, stdin=subprocess.PIPE)
    _, complaint = process.communicate(f"{told['password']}\n{told['sender_password']}\n", timeout=60)
    assert process.returncode == 0, complaint
    code, out, _ = installation.command("connectors", "test", "by-hand")
    assert code == 0, out
    assert "2 entities are shown" in out
    code, out, _ = installation.command("connectors", "show", "by-hand", "--json")
    assert json.loads(out)["credential"]["sender"] == told["sender_id"]
    assert told["password"] not in out
    assert told["sender_password"] not in out
    code, _, err = installation.command(
        "connectors", "credential", "by-hand", "--user", "x", "--password-stdin"
    )
    assert (code != 0, "sender" in err) == (True, True)
    assert installation.command("connectors", "remove", "by-hand", "--yes")[0] == 0


def test_another_company_needs_another_credential(connected: Installation, erp: Intacct) -> None:
    connected.change(KEY, company_id="other")
    with pytest.raises(Misconfigured, match="company other"):
        connected.hub.sync(KEY)
    connected.change(KEY, company_id=erp.told["company_id"])


def test_secrets_are_in_no_log_and_no_error(
    connected: Installation,
    erp: Intacct,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    caplog.set_level(logging.DEBUG)
    told = erp.told
    shown: list[str] = []

    def fails(act: Callable[[], object]) -> None:
        with pytest.raises((Misconfigured, Transient, Rejected)) as raised:
            act()
        shown.append(str(raised.getrepr(showlocals=False)))

    connected.hub.sync(KEY)
    for kind in ("wrong_login", "wrong_sender"):
        erp.control("misbehave", kind=kind, function="getAPISession", times=5)
        fails(lambda: connected.hub.sync(KEY))
        erp.well()
    for kind in ("malformed", "session_expired"):
        erp.control("misbehave", kind=kind, function="query", times=9)
        fails(lambda: connected.hub.sync(KEY))
        erp.well()
    pair = NewCredential(told["user"], Secret("canary-4711"), told["sender_id"], Secret("canary-4712"))
    connected.hub.replace_credential(KEY, pair)
    fails(lambda: connected.hub.sync(KEY))
    right = NewCredential(
        told["user"], Secret(told["password"]), told["sender_id"], Secret(told["sender_password"])
    )
    connected.hub.replace_credential(KEY, right)
    assert connected.hub.sync(KEY).verdict == "equal"
    text = "\n".join([*shown, caplog.text, *capfd.readouterr()])
    assert len(shown) == 5
    for secret in (told["password"], told["sender_password"], "canary-4711", "canary-4712", "<sessionid>"):
        assert secret not in text
