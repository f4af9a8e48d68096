"""A simulated SAP's payments: receipts are what came to the bank, whatever their lines cleared besides."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.sync.conftest import Erp, Install, Installation, Start

BANK = "11001000"
ADVANCES = "21190000"
Document = tuple[str, str, str]  # company code, fiscal year, number


@pytest.fixture(scope="module")
def erp(start: Start) -> Erp:
    return start("--tenant", "nippon", "--items", "150").tenants["nippon"]


@pytest.fixture(scope="module")
def hub(install: Install, erp: Erp) -> Installation:
    """An installation that has published the ERP's books once."""
    installation = install()
    installation.connect(erp, "sap")
    assert installation.hub.sync("sap").verdict == "equal"
    return installation


def came_in(erp: Erp) -> dict[Document, Decimal]:
    """What each document put on the bank account, in its currency."""
    sums: defaultdict[Document, Decimal] = defaultdict(Decimal)
    for row in erp.rows("API_OPLACCTGDOCITEMCUBE_SRV", "A_OperationalAcctgDocItemCube"):
        if row["FinancialAccountType"] == "S" and row["GLAccount"] == BANK:
            document = (row["CompanyCode"], row["FiscalYear"], row["AccountingDocument"])
            sums[document] += Decimal(row["AmountInTransactionCurrency"])
    return dict(sums)


def posted(hub: Installation, erp: Erp, business: str) -> tuple[Document, list[dict[str, Any]]]:
    """Business of this kind, published by an hourly run: its document and the allocations that are new."""
    before = {(row["number"], row["entity"], row["sequence"]) for row in hub.of("sap", "allocation")}
    (new,) = erp.post(**{business: 1})
    result = hub.hub.sync("sap", sweep=False)
    assert (result.state, result.verdict, result.notes) == ("published", "equal", [])
    allocations = [
        row
        for row in hub.of("sap", "allocation")
        if (row["number"], row["entity"], row["sequence"]) not in before
    ]
    return (new["company_code"], new["fiscal_year"], new["document"]), allocations


def receipt(hub: Installation, document: Document) -> dict[str, Any]:
    """The one published receipt of a document."""
    (row,) = [
        row
        for row in hub.of("sap", "receipt")
        if (row["entity"], row["fiscal_year"], row["number"]) == document
    ]
    return row


def test_every_receipt_is_what_came_to_the_bank(hub: Installation, erp: Erp) -> None:
    sums: defaultdict[Document, Decimal] = defaultdict(Decimal)
    for row in hub.of("sap", "receipt", "status = 'received'"):
        sums[row["entity"], row["fiscal_year"], row["number"]] += row["amount"]
    bank = came_in(erp)
    assert sums == {document: bank[document] for document in sums}
    assert len(sums) > 20
    assert any(row["not_cash"] for row in hub.of("sap", "receipt"))


def test_a_discount(hub: Installation, erp: Erp) -> None:
    document, (allocation,) = posted(hub, erp, "discounts")
    row = receipt(hub, document)
    assert row["amount"] == came_in(erp)[document] == allocation["amount"] - allocation["discount"]
    assert row["not_cash"] == allocation["discount"] > 0
    assert row["company_amount"] == allocation["company_amount"] - allocation["company_discount"]


@pytest.mark.parametrize("business", ["residuals", "unnamed_residuals"])
def test_the_rest_of_a_short_payment(business: str, hub: Installation, erp: Erp) -> None:
    document, allocations = posted(hub, erp, business)
    row = receipt(hub, document)
    by_source = {allocation["source"]: allocation["amount"] for allocation in allocations}
    assert by_source == {"receipt": came_in(erp)[document], "journal": row["not_cash"]}
    assert row["amount"] == by_source["receipt"]
    (rest,) = [
        item
        for item in hub.of("sap", "open_item")
        if (item["entity"], item["fiscal_year"], item["number"]) == document
    ]
    assert rest["open"] == row["not_cash"]


def test_a_payment_at_another_rate(hub: Installation, erp: Erp) -> None:
    """The customer's line is cleared at what it was posted with; the gain is the ledger's alone."""
    document, (allocation,) = posted(hub, erp, "exchange_payments")
    row = receipt(hub, document)
    assert row["currency"] != row["company_currency"]
    assert (row["amount"], row["not_cash"], row["unapplied"]) == (came_in(erp)[document], 0, 0)
    (item,) = [
        item
        for item in hub.of("sap", "open_item")
        if (item["entity"], item["fiscal_year"], item["number"], item["instalment"])
        == (
            allocation["entity"],
            allocation["target_fiscal_year"],
            allocation["target_number"],
            allocation["target_instalment"],
        )
    ]
    assert (item["open"], item["company_open"]) == (0, 0)
    assert allocation["amount"] == item["original"] == row["amount"]
    assert allocation["company_amount"] == item["company_original"] == row["company_amount"]
    assert allocation["company_difference"] == 0


def test_a_down_payment_stands_on_the_account_of_advances(hub: Installation, erp: Erp) -> None:
    before = balances(hub)
    document, allocations = posted(hub, erp, "down_payments")
    row = receipt(hub, document)
    assert (row["account"], row["amount"], row["unapplied"]) == (
        ADVANCES,
        came_in(erp)[document],
        row["amount"],
    )
    assert allocations == []
    kinds = {(a["entity"], a["account"]): a["kind"] for a in hub.of("sap", "control_account")}
    assert kinds[document[0], ADVANCES] == "advances"
    place = (document[0], ADVANCES)
    assert balances(hub)[place] - before[place] == -row["company_amount"]
    compared = {(line.entity, line.account) for line in hub.hub.tie_out("sap").rows if line.status == "equal"}
    assert place in compared


def balances(hub: Installation) -> defaultdict[tuple[str, str], Decimal]:
    """What is owed in company currency by company code and account, as published."""
    sums: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in hub.of("sap", "open_item"):
        sums[row["entity"], row["account"]] += row["company_open"]
    for row in hub.of("sap", "receipt"):
        sums[row["entity"], row["account"]] -= row["company_unapplied"]
    return sums
