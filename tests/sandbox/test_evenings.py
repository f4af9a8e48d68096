"""The books of past evenings, SAP and Intacct: what was known then, whatever is entered afterwards."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import requests

from sandbox.business import When
from sandbox.evening import told as evening_of
from sandbox.receipts import partial_payment
from sandbox.world import example
from tests.sandbox.conftest import TODAY

if TYPE_CHECKING:
    from tests.sandbox.conftest import Erp, Sandbox, Start
    from tests.sandbox.intacct_client import Intacct

CUBE = "API_OPLACCTGDOCITEMCUBE_SRV/A_OperationalAcctgDocItemCube"
NAMES = ["acme", "nippon", "globex"]
SAP_KINDS = ["invoices", "credit_memos", "payments", "partials", "residuals", "reversals", "down_payments", "resets", "due_dates"]  # fmt: skip
INTACCT_KINDS = [
    "invoices", "credit_memos", "applied_credits", "payments", "partials", "overpayments", "advances", "reversals",
    "payment_reversals", "deletes", "reissues", "released_drafts", "due_dates",
]  # fmt: skip


@pytest.fixture(scope="module")
def running(shared_start: Start) -> Sandbox:
    return shared_start("--items", "400", "--today", TODAY.isoformat())


def tenant(sandbox: Sandbox, name: str) -> Erp | Intacct:
    return sandbox.companies[name] if name in sandbox.companies else sandbox.tenants[name]


def today(of: Erp | Intacct) -> date:
    return date.fromisoformat(of.control("journal")["today"])


def begin(of: Erp | Intacct, days: int = 1) -> date:
    """Go to a later day; the day that ended."""
    ended = today(of)
    moved = of.control("day", {"day": (ended + timedelta(days=days)).isoformat()})
    assert moved["ended"] == ended.isoformat()
    return ended


def evening(of: Erp | Intacct, day: date) -> dict[str, Any]:
    found: dict[str, Any] = of.control("evening", day=day.isoformat())
    return found


def books(of: Erp | Intacct, day: date) -> tuple[list[Any], list[Any]]:
    found = evening(of, day)
    return found["items"], found["receipts"]


def left(found: dict[str, Any]) -> dict[tuple[str, str], Decimal]:
    """What an evening leaves on each control account, in the entity's currency."""
    sums: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for item in found["items"]:
        sums[item["entity"], item["account"]] += Decimal(item["company_open"])
    for receipt in found["receipts"]:
        sums[receipt["entity"], receipt["account"]] -= Decimal(receipt["company_unapplied"])
    return {key: value for key, value in sums.items() if value}


def ledger(of: Erp | Intacct) -> dict[tuple[str, str], Decimal]:
    """The journal's balances of the control accounts, now."""
    sums: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    control = {"12000", "12100", "24000", "12100000", "12120000", "21190000"}
    for row in of.control("journal")["balances"]:
        if row["account"] in control:
            sums[row.get("entity") or row["company_code"], row["account"]] += Decimal(row["company_amount"])
    return {key: value for key, value in sums.items() if value}


@pytest.mark.parametrize("name", NAMES)
def test_this_evening_is_what_the_ledger_says(running: Sandbox, name: str) -> None:
    of = tenant(running, name)
    found = evening(of, today(of))
    assert left(found) == ledger(of)
    assert len(found["items"]) > 380
    assert found["receipts"]


@pytest.mark.parametrize("name", NAMES)
def test_an_evening_stays_whatever_is_posted_later(running: Sandbox, name: str) -> None:
    of = tenant(running, name)
    kinds, always = (INTACCT_KINDS, {"drafts": 2}) if name == "globex" else (SAP_KINDS, {})
    known = [(today(of), books(of, today(of)), ledger(of))]
    for position in range(4):
        begin(of)
        back = today(of) - timedelta(days=position * 20)
        wish: dict[str, Any] = dict.fromkeys(kinds[position::2], 2) | always | {"on": back.isoformat()}
        of.control("post", wish)
        known.append((today(of), books(of, today(of)), ledger(of)))
        for day, then, balances in known:
            assert books(of, day) == then, day
            assert left(evening(of, day)) == balances, day
    assert len({str(then) for _, then, _ in known}) == len(known)


@pytest.mark.parametrize("name", NAMES)
def test_the_evenings_of_the_history_are_told_as_well(running: Sandbox, name: str) -> None:
    of = tenant(running, name)
    days = [TODAY - timedelta(days=distance) for distance in (700, 400, 100, 30, 1)]
    counts = [len(evening(of, day)["items"]) for day in days]
    assert counts == sorted(counts)
    assert 0 < counts[0] < counts[-1]
    for item in evening(of, days[2])["items"]:
        assert item["posted_on"] <= (days[2] + timedelta(days=40)).isoformat()


@pytest.mark.parametrize("name", NAMES)
def test_an_evening_that_is_no_past_day_is_refused(running: Sandbox, name: str) -> None:
    of = tenant(running, name)
    url = of.url if name != "globex" else running.companies[name].control_url
    for address, wish in (
        ("evening?day=2030-01-01", None), ("evening?day=2026-02-30", None), ("evening", None),
        ("day", {"day": today(of).isoformat()}), ("day", {"day": "2020-01-01"}), ("day", {}),
    ):  # fmt: skip
        place = f"{url}/_sandbox/{address}"
        answer = (
            requests.get(place, timeout=30) if wish is None else requests.post(place, json=wish, timeout=30)
        )
        assert answer.status_code == 400, address
        assert answer.json()["error"]


def test_what_is_posted_is_entered_on_the_new_day(start: Start) -> None:
    sandbox = start("--items", "100", "--today", TODAY.isoformat())
    for name in ("acme", "globex"):
        begin(tenant(sandbox, name), 2)
    erp, company = sandbox.tenants["acme"], sandbox.companies["globex"]
    day = TODAY + timedelta(days=2)
    erp.control("post", {"invoices": 1, "on": "2026-10-01"})
    created = erp.rows(
        CUBE,
        filter=f"FinancialAccountType eq 'D' and AccountingDocumentCreationDate eq datetime'{day}T00:00:00'",
    )
    assert len(created) == 1
    assert created[0]["PostingDate"] == "/Date(1790812800000)/"
    company.sign_in()
    (posted,) = company.post(invoices=1, on="2026-10-01")
    (row,) = company.rows(
        "ARINVOICE",
        "WHENCREATED AUWHENCREATED",
        f"<equalto><field>RECORDNO</field><value>{posted['key']}</value></equalto>",
    )
    assert row["WHENCREATED"] == "10/01/2026"
    assert str(row["AUWHENCREATED"]).startswith(f"{day:%m/%d/%Y} 08:")


def test_a_new_day_ends_the_sessions_of_the_old_one(start: Start) -> None:
    company = start("--tenant", "globex", "--items", "40", "--today", TODAY.isoformat()).companies["globex"]
    company.sign_in()
    begin(company)
    assert company.page("ARTERM", "NAME").text("operation/authentication/status") == "failure"


def test_the_evenings_of_the_sap_example(start: Start) -> None:
    erp = start("--world", "example").tenants["example"]
    last, receipts = books(erp, date(2026, 3, 1))
    assert {tuple(item["key"][2:]): (item["original"], item["open"], item["due_date"]) for item in last} == {
        ("1800000012", "1"): ("600.00", "350.00", "2026-02-14"),
        ("1800000012", "2"): ("600.00", "600.00", "2026-03-16"),
        ("1800000019", "1"): ("-120.00", "-120.00", "2026-02-25"),
    }
    assert receipts == []
    third = {tuple(item["key"][2:]): item["open"] for item in books(erp, date(2026, 2, 26))[0]}
    assert third["1800000025", "1"] == "360.00"
    keys = [["1010", "2026", "1800000012", "1"], ["1010", "2026", "1400000031", "2"]]
    erp.control("post", {"settle": [keys], "number": "1400000040", "on": "2026-03-02"})
    assert books(erp, date(2026, 3, 1)) == (last, receipts)
    assert [tuple(item["key"][2:]) for item in books(erp, date(2026, 3, 2))[0]] == [
        ("1800000012", "2"),
        ("1800000019", "1"),
    ]


def test_partial_payments_lower_the_items_they_name(seeded: Sandbox) -> None:
    items, receipts = books(seeded.tenants["acme"], TODAY)
    partly = [item for item in items if Decimal(item["open"]) != Decimal(item["original"])]
    assert len(partly) > 3
    assert all(0 <= Decimal(item["open"]) < Decimal(item["original"]) for item in partly)
    assert {receipt["kind"] for receipt in receipts} == {"receipt", "advance"}
    assert all(0 < Decimal(receipt["unapplied"]) <= Decimal(receipt["received"]) for receipt in receipts)


def test_what_exceeds_its_invoice_is_unapplied() -> None:
    found = example(date(2026, 3, 1))
    day = date(2026, 3, 1)
    second = found.item("1010", "2026", "1800000012", 2)
    partial_payment(found, second, When(day, day), Decimal("700.00"), number="1400000050")
    told = evening_of(found, day)
    assert {item["key"][3]: item["open"] for item in told["items"] if item["document"] == "1800000012"} == {
        "1": "350.00", "2": "0.00",
    }  # fmt: skip
    assert [(r["document"], r["received"], r["unapplied"]) for r in told["receipts"]] == [
        ("1400000050", "700.00", "100.00")
    ]


def test_the_evenings_of_the_intacct_example(start: Start) -> None:
    company = start("--world", "intacct-example").companies["intacct-example"]
    last, receipts = books(company, date(2026, 3, 1))
    assert {
        tuple(item["key"]): (item["original"], item["open"], item["due_date"], item["kind"]) for item in last
    } == {
        ("ARINVOICE", "501", "12000"): ("600", "350", "2026-02-14", "invoice"),
        ("ARINVOICE", "502", "12000"): ("600", "600", "2026-03-16", "invoice"),
        ("ARADJUSTMENT", "610", "12000"): ("-120", "-120", None, "credit_memo"),
    }
    assert receipts == []
    opens = {item["key"][1]: item["open"] for item in books(company, date(2026, 2, 26))[0]}
    assert opens == {"501": "350", "502": "600", "503": "360", "610": "-120"}
    assert {item["key"][1]: item["open"] for item in books(company, date(2026, 2, 19))[0]} == {
        "501": "600",
        "502": "600",
    }


@pytest.mark.parametrize("name", ["acme", "globex"])
def test_the_clock_is_told(start: Start, name: str) -> None:
    running = start("--tenant", name, "--items", "20", "--today", "2026-03-24")
    erp = running.tenants[name] if name in running.tenants else running.companies[name]
    assert erp.control("clock")["now"].startswith("2026-03-24T08:00:")
    erp.control("day", {"day": "2026-03-29"})
    assert erp.control("clock")["now"].startswith("2026-03-29T08:00:")
