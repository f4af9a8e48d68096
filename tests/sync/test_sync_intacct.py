"""Whole syncs of a simulated Sage Intacct: equal books whatever is posted, sessions that end, faults, secrets."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from encours import simulation
from tests.sync.conftest import Install, Installation
from tests.sync.intacct import KEY, Intacct, closed, journal, owed, started


def test_what_is_published_is_the_journal(connected: Installation, globex: Intacct) -> None:
    assert owed(connected) == journal(globex)
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
    connected: Installation, globex: Intacct, kind: str
) -> None:
    globex.control("post", **{kind: 2})
    result = connected.hub.sync(KEY, sweep=False)
    assert (result.state, result.verdict) == ("published", "equal"), result.explanation
    assert owed(connected) == journal(globex)


def test_a_statement_names_documents_as_people_know_them(connected: Installation, globex: Intacct) -> None:
    (paid,) = globex.control("post", partials=1)["posted"]
    assert connected.hub.sync(KEY, sweep=False).verdict == "equal"
    (part, *_) = [a for a in connected.of(KEY, "allocation") if a["source_number"] == paid["key"]]
    (document,) = [d for d in connected.of(KEY, "document") if d["number"] == part["target_number"]]
    (receipt,) = [r for r in connected.of(KEY, "receipt") if r["number"] == paid["key"]]
    assert document["printed"] != document["number"]
    code, out, _ = connected.command("statement", document["customer"], "--connector", KEY)
    assert code == 0
    for printed in (f"{document['printed']}/1", f"{receipt['printed']}/1"):
        assert printed in out.partition("PAID BY")[2], out


def test_money_at_another_rate_states_its_exchange_difference(
    connected: Installation, globex: Intacct
) -> None:
    known = {(a["number"], a["sequence"]) for a in connected.of(KEY, "allocation")}
    (paid,) = globex.control("post", exchange_payments=1)["posted"]
    result = connected.hub.sync(KEY, sweep=False)
    assert (result.verdict, owed(connected)) == ("equal", journal(globex))
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


def test_a_deletion_closes_in_an_hourly_run_with_two_proofs(connected: Installation, globex: Intacct) -> None:
    before = set(closed(connected))
    posted = globex.control("post", deletes=3)["posted"]
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


def test_what_is_hidden_is_told_apart_from_what_is_deleted(connected: Installation, globex: Intacct) -> None:
    before = set(closed(connected))
    globex.control("faults", name="row_hidden")
    deleted = globex.control("post", deletes=1)["posted"][0]["key"]
    result = connected.hub.sync(KEY, sweep=True)
    assert (result.state, result.verdict) == ("published", "equal"), result.explanation
    assert set(closed(connected)) - before == {deleted}
    hidden = connected.hub.suspects(KEY)
    assert connected.last_run(KEY).suspects == len(hidden) > 0
    assert [note for note in result.notes if "the ledger still holds" in note], result.notes
    assert owed(connected) == journal(globex)
    globex.well()
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
    connected: Installation, globex: Intacct, kind: str
) -> None:
    before = {(one["entity"], one["number"]): one["customer"] for one in connected.of(KEY, "open_item")}
    aliases = {one["number"] for one in connected.of(KEY, "customer_alias")}
    globex.control("post", **{kind: 1})
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


@pytest.mark.parametrize(
    ("name", "reason"), [("manual_journal", "no customer"), ("wrong_sign", "customer C-")]
)
def test_books_that_differ_are_held_and_explained(
    connected: Installation, globex: Intacct, name: str, reason: str
) -> None:
    (did,) = [
        fault["did"] for fault in globex.control("faults", name=name)["faults"] if fault["name"] == name
    ]
    result = connected.hub.sync(KEY, sweep=True)
    globex.well()
    assert result.state == "held", (did, result)
    assert abs(result.differences[0].difference) == abs(Decimal(did[0]["company_amount"]))
    assert any(reason in line for line in result.explanation), result.explanation
    assert connected.hub.sync(KEY, sweep=True).verdict == "equal"


def test_two_errors_that_cancel_are_held_and_named(connected: Installation, globex: Intacct) -> None:
    (did,) = [
        fault["did"]
        for fault in globex.control("faults", name="cancelling_errors")["faults"]
        if fault["name"] == "cancelling_errors"
    ]
    assert sum(Decimal(one["company_amount"]) for one in did) == 0
    result = connected.hub.sync(KEY, sweep=True)
    globex.well()
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


def test_what_did_not_change_is_not_staged_again(connected: Installation, globex: Intacct) -> None:
    connected.hub.sync(KEY, sweep=False)
    since = globex.control("log")["last"]
    result = connected.hub.sync(KEY, sweep=False)
    log = [request for request in globex.control("log")["requests"] if request["number"] > since]
    deletions = sum(request["rows"] for request in log if request["object"] == "AUDITHISTORY")
    assert (result.state, result.rows_staged) == ("published", deletions), "those of the overlap, each time"
    assert result.rows_read > 0
