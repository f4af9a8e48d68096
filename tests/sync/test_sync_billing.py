"""Net and tax of a simulated SAP's documents: all of them, their changes, and what happens where there are none."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.sync.conftest import Erp, Install, Installation, Start

SERVICE = "API_BILLING_DOCUMENT_SRV"
HEADERS = "A_BillingDocument"
ELEMENTS = "A_BillingDocumentItemPrcgElmnt"
CREDITS = ("O", "N")  # credit memos, and cancellations of invoices
FOREVER = 100_000


@pytest.fixture
def erp(start: Start) -> Erp:
    return start("--tenant", "nippon", "--items", "200").tenants["nippon"]


@pytest.fixture
def hub(install: Install, erp: Erp) -> Installation:
    """An installation with a connector of the ERP's name."""
    installation = install()
    installation.connect(erp, "sap")
    return installation


def signed(header: dict[str, Any], name: str) -> Decimal:
    amount = Decimal(header[name])
    return -amount if header["SDDocumentCategory"] in CREDITS else amount


def billed(erp: Erp) -> dict[str, tuple[Decimal, Decimal, Decimal]]:
    """Net, tax and gross of every billing document, with the sign that it has in the books."""
    return {
        row["BillingDocument"]: (
            signed(row, "TotalNetAmount"),
            signed(row, "TaxAmount"),
            signed(row, "TotalGrossAmount"),
        )
        for row in erp.rows(SERVICE, HEADERS)
    }


def taxes(erp: Erp) -> dict[tuple[str, str, Decimal], tuple[Decimal, Decimal]]:
    """Base and tax of every billing document, tax code and rate, with the sign that they have in the books."""
    headers = {row["BillingDocument"]: row for row in erp.rows(SERVICE, HEADERS)}
    found: defaultdict[tuple[str, str, Decimal], list[Decimal]] = defaultdict(
        lambda: [Decimal(0), Decimal(0)]
    )
    for row in erp.rows(SERVICE, ELEMENTS):
        if row["ConditionClass"] == "D" and not (
            row["ConditionIsForStatistics"] or row["ConditionInactiveReason"]
        ):
            number = row["BillingDocument"]
            sums = found[number, row["TaxCode"], Decimal(row["ConditionRateValue"])]
            sign = -1 if headers[number]["SDDocumentCategory"] in CREDITS else 1
            sums[0] += sign * Decimal(row["ConditionBaseValue"])
            sums[1] += sign * Decimal(row["ConditionAmount"])
    return {place: (base, tax) for place, (base, tax) in found.items()}


def documents(hub: Installation) -> dict[str, dict[str, Any]]:
    """The published documents that name a billing document, by its number."""
    return {row["billing_document"]: row for row in hub.of("sap", "document", "billing_document is not null")}


def agree(hub: Installation, erp: Erp) -> None:
    """Proves that net, tax, gross and taxes by rate are the ERP's, of every document and no other."""
    found, expected = documents(hub), billed(erp)
    assert {n: (r["total_excl"], r["tax_total"], r["total_incl"]) for n, r in found.items()} == {
        number: amounts for number, amounts in expected.items() if number in found
    }
    of_document = {(r["entity"], r["fiscal_year"], r["number"], r["type"]): n for n, r in found.items()}
    published = {}
    for row in hub.of("sap", "document_tax"):
        number = of_document[row["entity"], row["fiscal_year"], row["number"], row["type"]]
        published[number, row["category"], row["rate"]] = (row["base"], row["tax"])
    assert published == {place: sums for place, sums in taxes(erp).items() if place[0] in found}


def misprint(erp: Erp, number: str, name: str, value: str) -> None:
    """Prints this value in one billing document until told to be well."""
    order = {"kind": "value", "set": HEADERS, "property": name, "value": value, "times": FOREVER}
    erp.control("misbehave", {**order, "where": f"BillingDocument={number}"})


def test_every_document_has_the_net_and_the_taxes_of_its_billing_document(
    hub: Installation, erp: Erp
) -> None:
    result = hub.hub.sync("sap")
    assert (result.verdict, result.notes, result.rejects) == ("equal", [], 0)
    agree(hub, erp)
    found = documents(hub)
    assert len(found) > 100
    assert {row["prepaid"] for row in found.values()} == {0}
    assert {row["currency"] for row in found.values()} >= {"JPY", "KWD"}
    rates = {(row["category"], row["rate"]) for row in hub.of("sap", "document_tax")}
    assert len(rates) > 3
    assert any(rate == 0 for _, rate in rates)
    unbilled = hub.of("sap", "document", "billing_document is null")
    assert unbilled
    assert {(r["total_excl"], r["tax_total"], r["prepaid"]) for r in unbilled} == {(None, None, None)}


def test_an_hourly_run_reads_what_changed_and_a_first_load_few_pages(hub: Installation, erp: Erp) -> None:
    hub.hub.sync("sap")
    asked = [request["set"] for request in erp.requests_since(0)]
    assert asked.count(HEADERS) + asked.count(ELEMENTS) <= 12
    since = erp.last_request()
    again = hub.hub.sync("sap", sweep=False)
    assert (again.rows_staged, again.notes) == (0, [])
    assert erp.answered(since)[HEADERS] < len(documents(hub)) / 4
    erp.post(invoices=2, credit_memos=1)
    since = erp.last_request()
    assert hub.hub.sync("sap", sweep=False).verdict == "equal"
    assert erp.answered(since)[HEADERS] >= 3
    agree(hub, erp)


def test_a_cancelled_invoice_is_cancelled_and_named_by_what_took_it_back(hub: Installation, erp: Erp) -> None:
    hub.hub.sync("sap")
    before = documents(hub)
    posted = erp.post(cancellations=1)
    result = hub.hub.sync("sap", sweep=False)
    assert (result.verdict, result.notes) == ("equal", [])
    agree(hub, erp)
    after = documents(hub)
    (number,) = set(after) - set(before)
    new = after[number]
    (original,) = [after[n] for n in before if before[n]["status"] == "posted" != after[n]["status"]]
    assert original["status"] == "cancelled"
    assert (new["kind"], new["reversal_of"]) == ("invoice", f"{original['number']}/{original['fiscal_year']}")
    assert new["total_incl"] == -original["total_incl"]
    assert {new["number"]} <= {each["document"] for each in posted}
    again = hub.hub.sync("sap")
    assert set(documents(hub)) == set(after)
    assert documents(hub)[original["billing_document"]]["status"] == "cancelled"
    assert again.verdict == "equal"


def test_without_the_service_documents_are_published_without_tax_and_later_completed(
    hub: Installation, erp: Erp
) -> None:
    erp.control("misbehave", {"kind": "forbidden_atom", "set": HEADERS, "times": FOREVER})
    result = hub.hub.sync("sap")
    assert (result.state, result.verdict) == ("published", "equal")
    (note,) = result.notes
    assert note.startswith(f"billing_documents: {SERVICE} is not offered to the user")
    assert {row["total_excl"] for row in documents(hub).values()} == {None}
    assert hub.of("sap", "document_tax") == []
    checks = {check.name: check for check in hub.hub.test("sap")}
    assert checks["billing documents"].ok
    assert "is not offered" in checks["billing documents"].sentence
    erp.well()
    completed = hub.hub.sync("sap", sweep=True)
    assert (completed.verdict, completed.notes) == ("equal", [])
    agree(hub, erp)


def test_a_connector_may_leave_billing_documents_out(hub: Installation, erp: Erp) -> None:
    hub.change("sap", billing=False)
    result = hub.hub.sync("sap")
    assert (result.verdict, result.notes) == ("equal", [])
    assert HEADERS not in {request["set"] for request in erp.requests_since(0)}
    assert "billing documents" not in {check.name for check in hub.hub.test("sap")}


def test_an_invoice_that_is_not_what_was_posted_is_named_and_does_not_hold(
    hub: Installation, erp: Erp
) -> None:
    (number, (net, tax, gross)) = next((n, a) for n, a in billed(erp).items() if a[0] > 0)
    misprint(erp, number, "TotalGrossAmount", f"{gross + 1:f}")
    result = hub.hub.sync("sap")
    assert result.state == "published"
    wrong, unlike = result.notes
    assert wrong.startswith(f"Billing document {number} of ")
    assert f"net {net} and tax {tax} are not {gross + 1} " in wrong
    assert f"its items sum to {gross} " in unlike
    assert f"billing document {number} says {gross + 1} " in unlike


def test_a_billing_document_that_cannot_be_read_is_set_aside_and_does_not_hold(
    hub: Installation, erp: Erp
) -> None:
    number = next(n for n, amounts in billed(erp).items() if amounts[0] > 0)
    misprint(erp, number, "TaxAmount", "1.0x")
    result = hub.hub.sync("sap")
    assert (result.state, result.rejects >= 1) == ("published", True)
    (reject,) = hub.hub.rejects("sap")
    assert (reject.stream, reject.field, reject.key) == ("billing_documents", "TaxAmount", number)
    assert documents(hub)[number]["total_excl"] is None
    erp.well()
    hub.hub.sync("sap", sweep=True)
    assert hub.hub.rejects("sap") == []
    agree(hub, erp)
