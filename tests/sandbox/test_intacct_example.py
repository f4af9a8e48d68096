"""The worked example: the rows of the interface sheet, its balance, and what happens the day after."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from tests.sandbox.intacct_client import query

if TYPE_CHECKING:
    from tests.sandbox.conftest import Start
    from tests.sandbox.intacct_client import Intacct

INVOICE = (
    "RECORDNO RECORDID RECORDTYPE STATE CUSTOMERID WHENCREATED WHENPOSTED WHENDUE CURRENCY BASECURR "
    "TRX_TOTALENTERED TRX_TOTALPAID TRX_TOTALDUE WHENMODIFIED MEGAENTITYID"
)


@pytest.fixture
def company(start: Start) -> Intacct:
    found = start("--world", "intacct-example").companies["intacct-example"]
    found.sign_in()
    return found


def test_the_rows_of_the_sheet(company: Intacct) -> None:
    assert company.entities == ["N-407"]
    answer = company.page("ARINVOICE", INVOICE, order="RECORDNO")
    assert [(str(name), str(value)) for name, value in answer.data.items()] == [
        ("listtype", "ARINVOICE"), ("totalcount", "4"), ("offset", "0"), ("count", "4"), ("numremaining", "0"),
    ]  # fmt: skip
    names = INVOICE.split()
    rows = [tuple(row[name] for name in names) for row in answer.rows]
    assert rows == [
        ("501", "IN-77-01", "ri", "Partially Paid", "C-100", "01/15/2026", "01/15/2026", "02/14/2026", "USD", "USD", "600", "250", "350", "02/20/2026 16:02:11", "N-407"),
        ("502", "IN-77-02", "ri", "Posted", "C-100", "01/15/2026", "01/15/2026", "03/16/2026", "USD", "USD", "600", "0", "600", "01/15/2026 09:30:00", "N-407"),
        ("503", "IN-78", "ri", "Reversed", "C-100", "02/26/2026", "02/26/2026", "03/28/2026", "USD", "USD", "360", "360", "0", "02/27/2026 09:30:00", "N-407"),
        ("504", "IN-78", "ri", "Reversal", "C-100", "02/27/2026", "02/27/2026", "02/27/2026", "USD", "USD", "-360", "-360", "0", "02/27/2026 09:30:00", "N-407"),
    ]  # fmt: skip
    assert company.page(
        "ARADJUSTMENT", "RECORDNO RECORDID STATE WHENCREATED TRX_TOTALENTERED TRX_TOTALPAID TRX_TOTALDUE"
    ).rows == [
        {
            "RECORDNO": "610", "RECORDID": "CM-9", "STATE": "Posted", "WHENCREATED": "02/25/2026",
            "TRX_TOTALENTERED": "-120", "TRX_TOTALPAID": "0", "TRX_TOTALDUE": "-120",
        }
    ]  # fmt: skip
    payment = "RECORDNO DOCNUMBER PAYMENTMETHOD CUSTOMERID RECEIPTDATE TRX_TOTALENTERED TRX_TOTALDUE"
    (row,) = company.page("ARPYMT", payment).rows
    assert tuple(row[name] for name in payment.split()) == (
        "701", "WIRE-5", "EFT", "C-100", "02/20/2026", "250", "0",
    )  # fmt: skip
    detail = "RECORDNO PAYMENTKEY RECORDKEY ENTRYKEY TRX_PAYMENTAMOUNT PAYMENTDATE"
    details = company.page("ARPYMTDETAIL", detail, order="RECORDNO").rows
    assert [tuple(row[name] for name in detail.split()) for row in details] == [
        ("9001", "701", "501", "2001", "200", "02/20/2026"),
        ("9002", "701", "501", "2002", "50", "02/20/2026"),
    ]


@pytest.mark.parametrize(
    ("day", "balance"),
    [
        (date(2026, 1, 14), 0),
        (date(2026, 1, 15), 1200),
        (date(2026, 2, 20), 950),
        (date(2026, 2, 26), 1190),
        (date(2026, 2, 27), 830),
        (date(2026, 3, 1), 830),
    ],
)
def test_the_balance_of_the_receivables_account(company: Intacct, day: date, balance: int) -> None:
    assert company.balance("12000", "N-407", day) == balance


def test_the_sums_of_the_sheet(company: Intacct) -> None:
    answer = company.call(
        query("ARINVOICE", "MEGAENTITYID CURRENCY sum:TRX_TOTALDUE count:RECORDNO"),
        query("ARADJUSTMENT", "sum:TRX_TOTALDUE"),
    )
    invoices, adjustments = answer.tree.findall("operation/result/data")
    assert [cell.text for cell in invoices[0]] == ["N-407", "USD", "950", "4"]
    assert adjustments[0][0].text == "-120"


def test_the_credit_memo_is_applied_the_day_after(company: Intacct) -> None:
    company.control("day", {"day": "2026-03-02"})
    company.sign_in()
    applied, cash = company.post(settle=[["502", "610"]]), company.control("journal")["open_items"]
    assert applied[0]["object"] == "ARPYMT"
    details = company.rows("ARPYMTDETAIL", "RECORDKEY ADJUSTMENTKEY TRX_ADJUSTMENTAMOUNT TRX_PAYMENTAMOUNT")[
        2:
    ]
    assert [(d["RECORDKEY"], d.get("ADJUSTMENTKEY"), d["TRX_ADJUSTMENTAMOUNT"], d["TRX_PAYMENTAMOUNT"]) for d in details] == [
        ("502", "610", "120", "0"),
        ("502", None, "0", "480"),
    ]  # fmt: skip
    assert {item["key"]: item["amount"] for item in cash} == {"501": "350"}
    assert company.balance("12000", "N-407", date(2026, 3, 2)) == Decimal(350)
