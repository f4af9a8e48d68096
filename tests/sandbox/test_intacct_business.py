"""Business posted into the running company: every kind keeps the books right and shows where a reader looks."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.sandbox.intacct_client import condition
from tests.sandbox.test_intacct_books import total
from tests.sandbox.test_intacct_faults import differences

if TYPE_CHECKING:
    from tests.sandbox.conftest import Sandbox, Start
    from tests.sandbox.intacct_client import Intacct, Row

KINDS = [
    "invoices", "credit_memos", "applied_credits", "debit_memos", "order_entry_credits", "payments", "partials",
    "overpayments", "advances", "group_payments", "reversals", "payment_reversals", "deletes", "reissues", "drafts",
    "released_drafts", "due_dates", "new_customers", "renamed_customers", "undated", "discounts", "exchange_payments",
    "partial_reversals", "renumbered_customers", "merged_customers", "customers_on_hold",
]  # fmt: skip
UNCHANGED = {"applied_credits", "drafts", "due_dates", "renamed_customers", "customers_on_hold"}


@pytest.fixture(scope="module")
def running(shared_start: Start) -> Sandbox:
    return shared_start("--tenant", "globex", "--items", "500", "--today", "2026-11-24")


@pytest.fixture
def company(running: Sandbox) -> Intacct:
    """A company on a day after everything that was posted before."""
    found = running.companies["globex"]
    today = date.fromisoformat(found.control("journal")["today"])
    found.control("day", {"day": (today + timedelta(days=1)).isoformat()})
    found.sign_in()
    return found


def since_today(company: Intacct, name: str, fields: str) -> list[Row]:
    """What a delta finds: rows modified on the company's current day."""
    day = date.fromisoformat(company.control("journal")["today"])
    return company.rows(
        name, fields, condition("greaterthanorequalto", "WHENMODIFIED", f"{day:%m/%d/%Y} 00:00:00")
    )


def open_sum(company: Intacct) -> Decimal:
    items = company.control("journal")["open_items"]
    return sum((Decimal(item["company_amount"]) for item in items), Decimal(0))


@pytest.mark.parametrize("kind", KINDS)
def test_the_books_stay_right(company: Intacct, kind: str) -> None:
    before = company.control("journal")
    posted = company.post(**{kind: 2})
    after = company.control("journal")
    assert [each["kind"] for each in posted] == [kind] * 2
    assert differences(company) == {}
    assert total(after["balances"], ("entity",), "company_amount") == {}
    assert total(after["balances"], ("entity", "currency"), "amount") == {}
    same = before["open_items"] == after["open_items"]
    assert same == (kind in UNCHANGED - {"applied_credits", "due_dates"})


def test_an_undated_invoice_has_no_moment_of_change(company: Intacct) -> None:
    (posted,) = company.post(undated=1)
    assert posted["key"] not in {row["RECORDNO"] for row in since_today(company, "ARINVOICE", "RECORDNO")}
    (row,) = company.rows(
        "ARINVOICE", "RECORDNO WHENMODIFIED", condition("equalto", "RECORDNO", posted["key"])
    )
    assert not row.get("WHENMODIFIED")


def test_what_is_committed_late_carries_the_moment_of_its_entry(company: Intacct) -> None:
    now, late = company.post(invoices=1), company.post(invoices=1, late=300)
    rows = {row["RECORDNO"]: row for row in company.rows("ARINVOICE", "RECORDNO WHENMODIFIED")}
    moments = [
        datetime.strptime(rows[posted["key"]]["WHENMODIFIED"] or "", "%m/%d/%Y %H:%M:%S").replace(tzinfo=UTC)
        for (posted,) in (late, now)
    ]
    assert timedelta(seconds=280) < moments[1] - moments[0] < timedelta(seconds=301)


def test_a_discount_is_part_of_what_a_detail_applies(company: Intacct) -> None:
    (posted,) = company.post(discounts=1)
    details = company.rows(
        "ARPYMTDETAIL",
        "RECORDKEY TRX_PAYMENTAMOUNT DISCOUNTAMOUNT",
        condition("equalto", "PAYMENTKEY", posted["key"]),
    )
    assert all(Decimal(detail["DISCOUNTAMOUNT"] or "0") > 0 for detail in details)
    (key,) = {str(detail["RECORDKEY"]) for detail in details}
    (invoice,) = company.rows("ARINVOICE", "TRX_TOTALDUE", condition("equalto", "RECORDNO", key))
    assert Decimal(invoice["TRX_TOTALDUE"] or "0") == 0


def test_an_invoice_is_written_in_the_currency_asked_for(company: Intacct) -> None:
    posted = company.post(invoices=2, currency="JPY")
    rows = company.rows("ARINVOICE", "RECORDNO CURRENCY")
    found = {row["RECORDNO"]: row["CURRENCY"] for row in rows}
    assert [found[each["key"]] for each in posted] == ["JPY", "JPY"]


def test_a_delta_finds_an_invoice_that_was_paid_and_its_details(company: Intacct) -> None:
    (posted,) = company.post(partials=1)
    (payment,) = since_today(company, "ARPYMT", "RECORDNO TRX_TOTALENTERED TRX_TOTALDUE")
    details = since_today(company, "ARPYMTDETAIL", "PAYMENTKEY RECORDKEY TRX_PAYMENTAMOUNT")
    (paid,) = since_today(company, "ARINVOICE", "RECORDNO STATE TRX_TOTALDUE")
    assert payment["RECORDNO"] == posted["key"]
    assert {row["PAYMENTKEY"] for row in details} == {posted["key"]}
    assert {row["RECORDKEY"] for row in details} == {paid["RECORDNO"]}
    assert sum(Decimal(d["TRX_PAYMENTAMOUNT"] or "0") for d in details) == Decimal(
        payment["TRX_TOTALENTERED"] or "0"
    )
    assert paid["STATE"] == "Partially Paid"


def test_a_receipt_taken_back_does_not_move_its_invoice(company: Intacct) -> None:
    (posted,) = company.post(payment_reversals=1)
    receipts = since_today(company, "ARPYMT", "STATE TRX_TOTALENTERED PARENTPAYMENTKEY")
    details = since_today(company, "ARPYMTDETAIL", "PAYMENTKEY PARENTPAYMENTKEY RECORDKEY TRX_PAYMENTAMOUNT")
    states = {row["STATE"]: row for row in receipts}
    assert set(states) == {"Reversed", "Reversal"}
    assert states["Reversal"]["RECORDNO"] == posted["key"]
    assert states["Reversal"]["PARENTPAYMENTKEY"] == states["Reversed"]["RECORDNO"]
    assert all(Decimal(row["TRX_PAYMENTAMOUNT"] or "0") <= 0 for row in details)
    assert {row["PARENTPAYMENTKEY"] for row in details} == {states["Reversed"]["RECORDNO"]}
    assert since_today(company, "ARINVOICE", "STATE") == []


def test_a_reversal_keeps_both_invoices_with_nothing_due(company: Intacct) -> None:
    (posted,) = company.post(reversals=1)
    rows = since_today(company, "ARINVOICE", "RECORDID STATE TRX_TOTALENTERED TRX_TOTALDUE")
    first, second = sorted(rows, key=lambda row: int(row["RECORDNO"] or 0))
    assert (first["STATE"], second["STATE"]) == ("Reversed", "Reversal")
    assert first["RECORDID"] == second["RECORDID"] == posted["document"]
    assert {first["TRX_TOTALDUE"], second["TRX_TOTALDUE"]} == {"0"}
    assert Decimal(first["TRX_TOTALENTERED"] or "0") == -Decimal(second["TRX_TOTALENTERED"] or "0")


def test_a_deleted_invoice_is_gone_and_in_the_audit_history(company: Intacct) -> None:
    (posted,) = company.post(deletes=1)
    given = condition("equalto", "RECORDNO", posted["key"])
    assert company.page("ARINVOICE", "RECORDNO", filter=given, private=True).figure("totalcount") == 0
    found = company.page(
        "AUDITHISTORY", "OBJECTTYPE ACCESSMODE", filter=condition("equalto", "OBJECTKEY", posted["key"])
    )
    assert [(row["OBJECTTYPE"], row["ACCESSMODE"]) for row in found.rows] == [("arinvoice", "D")]


def test_an_invoice_of_order_entry_is_written_anew(company: Intacct) -> None:
    (posted,) = company.post(reissues=1)
    rows = company.rows(
        "ARINVOICE", "RECORDID MODULEKEY", condition("equalto", "RECORDID", posted["document"])
    )
    assert [(row["RECORDNO"], row["MODULEKEY"]) for row in rows] == [(posted["key"], "8.SO")]


def test_a_credit_is_applied_without_cash(company: Intacct) -> None:
    (posted,) = company.post(applied_credits=1)
    (payment,) = since_today(company, "ARPYMT", "TRX_TOTALENTERED")
    details = since_today(
        company, "ARPYMTDETAIL", "PAYMENTKEY ADJUSTMENTKEY TRX_ADJUSTMENTAMOUNT TRX_PAYMENTAMOUNT"
    )
    (memo,) = since_today(company, "ARADJUSTMENT", "STATE TRX_TOTALENTERED TRX_TOTALDUE")
    assert (payment["RECORDNO"], payment["TRX_TOTALENTERED"]) == (posted["key"], "0")
    assert {row["ADJUSTMENTKEY"] for row in details} == {memo["RECORDNO"]}
    assert {row["TRX_PAYMENTAMOUNT"] for row in details} == {"0"}
    assert (memo["STATE"], memo["TRX_TOTALDUE"]) == ("Paid", "0")


def test_what_is_settled_is_named(company: Intacct) -> None:
    open_now = [i for i in company.control("journal")["open_items"] if i["object"] == "ARINVOICE"]
    debts = [
        i for i in open_now if Decimal(i["amount"]) > 0 and i["entity"] == "N-100" and i["currency"] == "USD"
    ]
    keys = [debts[0]["key"], debts[1]["key"]]
    (posted,) = company.post(settle=[keys])
    assert posted["kind"] == "settled"
    left = {i["key"] for i in company.control("journal")["open_items"]}
    assert not left & set(keys)
    assert differences(company) == {}


def test_business_is_posted_from_the_command_line(company: Intacct) -> None:
    command = [
        sys.executable,
        "-m",
        "sandbox",
        "post",
        "--url",
        company.url,
        "--invoices",
        "2",
        "--advances",
        "1",
    ]
    done = subprocess.run(
        [*command, "--entity", "E-200"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    posted = json.loads(done.stdout)["posted"]
    assert [(each["kind"], each["entity"]) for each in posted] == [
        ("invoices", "E-200"), ("invoices", "E-200"), ("advances", "E-200"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "wish",
    [
        {"miracles": 1},
        {"invoices": 1, "entity": "X-1"},
        {"settle": [["1"]]},
        {"invoices": 1, "on": "2026-02-30"},
        {"invoices": "many"},
        ["invoices"],
    ],
)
def test_what_cannot_be_posted_is_refused_with_a_sentence(company: Intacct, wish: Any) -> None:
    answer = requests.post(f"{company.control_url}/_sandbox/post", json=wish, timeout=30)
    assert answer.status_code == 400
    assert answer.json()["error"]
