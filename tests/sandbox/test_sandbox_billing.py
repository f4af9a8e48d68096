"""Billing documents: each agrees with its accounting document, and shows its tax by code and rate."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tests.sandbox.conftest import CUBE

if TYPE_CHECKING:
    from tests.sandbox.conftest import Erp, Start

HEADERS = "API_BILLING_DOCUMENT_SRV/A_BillingDocument"
ITEMS = "API_BILLING_DOCUMENT_SRV/A_BillingDocumentItem"
ELEMENTS = "API_BILLING_DOCUMENT_SRV/A_BillingDocumentItemPrcgElmnt"
BILLED = "FinancialAccountType eq 'D' and AccountingDocumentType eq 'RV'"
CREDITS = ("O", "N")  # credit memos, and cancellations of invoices
LINES = "FinancialAccountType eq 'S' and AccountingDocumentType eq 'RV'"
OUTPUT_TAX = "22000000"
PLACES = {"EUR": 2, "USD": 2, "JPY": 0, "KWD": 3}


@pytest.fixture(scope="module")
def acme(shared_start: Start) -> Erp:
    return shared_start("--tenant", "acme", "--items", "300", "--today", "2026-11-24").tenants["acme"]


def is_tax(element: dict[str, Any]) -> bool:
    return (
        element["ConditionClass"] == "D"
        and not element["ConditionIsForStatistics"]
        and not element["ConditionInactiveReason"]
    )


def places(amount: str) -> int:
    return len(amount.partition(".")[2])


def gross_of_items(erp: Erp, condition: str = BILLED) -> dict[str, Decimal]:
    """What the customers' items of each billing document sum to."""
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for row in erp.rows(CUBE, filter=condition, select="BillingDocument,AmountInTransactionCurrency"):
        sums[row["BillingDocument"]] += Decimal(row["AmountInTransactionCurrency"])
    return dict(sums)


def signed_gross(header: dict[str, Any]) -> Decimal:
    amount = Decimal(header["TotalGrossAmount"])
    return -amount if header["SDDocumentCategory"] in CREDITS else amount


def test_each_billing_document_is_what_its_customer_items_sum_to(erp: Erp) -> None:
    headers = {row["BillingDocument"]: row for row in erp.rows(HEADERS)}
    assert {number: signed_gross(row) for number, row in headers.items()} == gross_of_items(erp)
    for row in headers.values():
        amounts = [row[name] for name in ("TotalNetAmount", "TaxAmount", "TotalGrossAmount")]
        assert Decimal(amounts[0]) + Decimal(amounts[1]) == Decimal(amounts[2])
        assert {places(amount) for amount in amounts} == {PLACES[row["TransactionCurrency"]]}
    assert {row["SDDocumentCategory"] for row in headers.values()} == {"M", "N", "O"}
    assert len(headers) > 500


def test_the_payer_is_who_owes_and_the_sold_to_party_may_be_its_branch(erp: Erp) -> None:
    owing = {
        row["BillingDocument"]: (row["Customer"], row["BranchAccount"])
        for row in erp.rows(CUBE, filter=BILLED)
    }
    headers = erp.rows(HEADERS)
    for row in headers:
        customer, branch = owing[row["BillingDocument"]]
        assert (row["PayerParty"], row["SoldToParty"]) == (customer, branch or customer)
    assert any(row["PayerParty"] != row["SoldToParty"] for row in headers)


def test_the_accounting_document_is_named_on_some_and_the_reference_on_all(erp: Erp) -> None:
    documents = {row["BillingDocument"]: row["AccountingDocument"] for row in erp.rows(CUBE, filter=BILLED)}
    named = 0
    headers = erp.rows(HEADERS)
    for row in headers:
        assert row["DocumentReferenceID"] == row["BillingDocument"].zfill(10)
        assert (row["AccountingDocument"] == "") == (row["FiscalYear"] == "0000")
        if row["AccountingDocument"]:
            assert row["AccountingDocument"] == documents[row["BillingDocument"]]
            named += 1
    assert 0 < named < len(headers)


def test_items_and_taxes_sum_to_the_document(erp: Erp) -> None:
    net: defaultdict[str, Decimal] = defaultdict(Decimal)
    tax: defaultdict[str, Decimal] = defaultdict(Decimal)
    conditions: defaultdict[str, Decimal] = defaultdict(Decimal)
    for item in erp.rows(ITEMS):
        net[item["BillingDocument"]] += Decimal(item["NetAmount"])
        tax[item["BillingDocument"]] += Decimal(item["TaxAmount"])
    for element in filter(is_tax, erp.rows(ELEMENTS)):
        conditions[element["BillingDocument"]] += Decimal(element["ConditionAmount"])
    for row in erp.rows(HEADERS):
        number = row["BillingDocument"]
        assert (net[number], tax[number]) == (Decimal(row["TotalNetAmount"]), Decimal(row["TaxAmount"]))
        assert conditions[number] == Decimal(row["TaxAmount"])


def test_a_tax_is_its_rate_of_its_base_within_a_unit(erp: Erp) -> None:
    rates: Counter[tuple[str, Decimal]] = Counter()
    for element in filter(is_tax, erp.rows(ELEMENTS)):
        rate, base = Decimal(element["ConditionRateValue"]), Decimal(element["ConditionBaseValue"])
        unit = Decimal(1).scaleb(-PLACES[element["TransactionCurrency"]])
        assert abs(Decimal(element["ConditionAmount"]) - base * rate / 100) <= unit
        rates[element["TaxCode"], rate.normalize()] += 1
    expected = {
        "1010": {("A1", Decimal(19)), ("A2", Decimal(7)), ("A1", Decimal(20)), ("A2", Decimal("5.5"))}
        | {(code, Decimal(0)) for code in ("A0", "AR", "AX")},
        "2010": {("A1", Decimal(10).normalize()), ("A2", Decimal(8)), ("A0", Decimal(0)), ("AX", Decimal(0))},
    }
    assert set(rates) == {(code, rate.normalize()) for code, rate in expected[erp.company_codes[0]]}
    assert min(rates.values()) > 10


def test_what_a_sum_of_the_tax_must_leave_out_is_there(erp: Erp) -> None:
    elements = erp.rows(ELEMENTS)
    taxes = [e for e in elements if e["ConditionClass"] == "D"]
    assert any(e["ConditionIsForStatistics"] and Decimal(e["ConditionAmount"]) for e in taxes)
    assert any(e["ConditionInactiveReason"] and Decimal(e["ConditionAmount"]) for e in taxes)
    assert {e["ConditionClass"] for e in elements} == {"A", "B", "D"}
    assert {item["GrossAmount"].replace("0", "") for item in erp.rows(ITEMS)} == {"", "."}


def test_the_ledger_holds_the_tax_of_the_billing_documents(acme: Erp) -> None:
    tax: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in acme.rows(HEADERS):
        sign = 1 if row["SDDocumentCategory"] in CREDITS else -1
        tax[row["CompanyCode"], row["TransactionCurrency"]] += sign * Decimal(row["TaxAmount"])
    booked: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for line in acme.rows(CUBE, filter=f"{LINES} and GLAccount eq '{OUTPUT_TAX}'"):
        booked[line["CompanyCode"], line["TransactionCurrency"]] += Decimal(
            line["AmountInTransactionCurrency"]
        )
    assert {key: value for key, value in tax.items() if value} == {k: v for k, v in booked.items() if v}


def test_many_are_read_by_their_numbers(acme: Erp) -> None:
    numbers = [row["BillingDocument"] for row in acme.rows(HEADERS)[:30]]
    named = " or ".join(f"BillingDocument eq '{number}'" for number in numbers)
    assert [row["BillingDocument"] for row in acme.rows(HEADERS, filter=named)] == numbers
    for path in (ITEMS, ELEMENTS):
        everything = [row for row in acme.rows(path) if row["BillingDocument"] in numbers]
        assert acme.rows(path, filter=named) == everything
        assert acme.rows(path, filter=f"not (BillingDocument ne '{numbers[0]}')") == [
            row for row in everything if row["BillingDocument"] == numbers[0]
        ]
    one = acme.get(
        f"{ELEMENTS}(BillingDocument='{numbers[0]}',BillingDocumentItem='10',PricingProcedureStep='870',PricingProcedureCounter='1')"
    )
    assert one.json()["d"]["ConditionType"] == "MWST"


@pytest.mark.parametrize("kind", ["invoices", "instalments", "reissues", "cancellations", "reversals"])
def test_what_is_posted_has_its_billing_document(acme: Erp, kind: str) -> None:
    before = {row["BillingDocument"] for row in acme.rows(HEADERS)}
    acme.control("post", {kind: 8})
    headers = acme.rows(HEADERS)
    assert {row["BillingDocument"]: signed_gross(row) for row in headers} == gross_of_items(acme)
    assert min(int(row["BillingDocument"]) for row in headers if row["BillingDocument"] not in before) > max(
        map(int, before)
    )


def test_a_cancelled_document_says_so_and_its_opposite_stays_beside_it(acme: Erp) -> None:
    today = date.fromisoformat(acme.control("journal")["today"])
    before = {row["BillingDocument"]: row for row in acme.rows(HEADERS)}
    acme.control("post", {"cancellations": 1})
    (new,) = [row for row in acme.rows(HEADERS) if row["BillingDocument"] not in before]
    old = before[new["CancelledBillingDocument"]]
    (cancelled,) = acme.rows(HEADERS, filter=f"BillingDocument eq '{old['BillingDocument']}'")
    assert (new["BillingDocumentType"], new["SDDocumentCategory"], new["LastChangeDate"]) == ("S1", "N", None)
    assert (old["BillingDocumentIsCancelled"], cancelled["BillingDocumentIsCancelled"]) == (False, True)
    assert (old["LastChangeDate"], old["AccountingTransferStatus"]) == (None, "C")
    changed = acme.rows(HEADERS, filter=f"LastChangeDate ge datetime'{today}T00:00:00'")
    assert old["BillingDocument"] in {row["BillingDocument"] for row in changed}
    assert cancelled["AccountingTransferStatus"] == "E"
    for name in ("TotalNetAmount", "TaxAmount", "TotalGrossAmount", "PayerParty", "TransactionCurrency"):
        assert new[name] == old[name]
    rows = acme.rows(CUBE, filter=f"BillingDocument eq '{new['BillingDocument']}'")
    assert rows
    for row in rows:
        assert (row["DebitCreditCode"], row["IsReversal"], row["IsCleared"]) == ("H", False, False)


def test_a_reversed_invoice_is_a_cancelled_billing_document(erp: Erp) -> None:
    reversing = erp.rows(CUBE, filter=f"{BILLED} and IsReversal eq true")
    headers = {row["BillingDocument"]: row for row in erp.rows(HEADERS)}
    for row in reversing:
        header = headers[row["BillingDocument"]]
        assert headers[header["CancelledBillingDocument"]]["BillingDocumentIsCancelled"]
        assert row["TransactionCode"] == "VF11"
    assert reversing


def test_hidden_customers_hide_their_billing_documents(start: Start) -> None:
    erp = start("--tenant", "acme", "--items", "120").tenants["acme"]
    everything = erp.rows(HEADERS)
    erp.control("faults", {"name": "company_code_without_rights", "company_code": "1020"})
    assert erp.rows(HEADERS) == [row for row in everything if row["CompanyCode"] != "1020"]
    erp.control("faults", {"name": "company_code_without_rights", "on": False})
    (hidden,) = {
        did["customer"]
        for fault in erp.control("faults", {"name": "partner_blocked"})["faults"]
        for did in fault["did"]
    }
    assert erp.rows(HEADERS) == [row for row in everything if row["PayerParty"] != hidden]
    assert erp.rows(ITEMS) == [
        i
        for i in erp.rows(ITEMS)
        if i["BillingDocument"] in {r["BillingDocument"] for r in erp.rows(HEADERS)}
    ]


def test_the_worked_example(start: Start) -> None:
    erp = start("--world", "example").tenants["example"]
    names = (
        "BillingDocument",
        "BillingDocumentType",
        "SDDocumentCategory",
        "TotalNetAmount",
        "TaxAmount",
        "TotalGrossAmount",
    )
    assert [tuple(row[name] for name in names) for row in erp.rows(HEADERS)] == [
        ("90000123", "F2", "M", "1000.00", "200.00", "1200.00"),
        ("90000150", "G2", "O", "100.00", "20.00", "120.00"),
    ]
    assert {row["PayerParty"] for row in erp.rows(HEADERS)} == {"10100001"}
    taxes = [
        (e["TaxCode"], e["ConditionRateValue"], e["ConditionAmount"]) for e in erp.rows(ELEMENTS) if is_tax(e)
    ]
    assert taxes == [("A1", "20.000000000", "200.00"), ("A1", "20.000000000", "20.00")]
    assert {row["LastChangeDate"] for row in erp.rows(HEADERS)} == {None}
