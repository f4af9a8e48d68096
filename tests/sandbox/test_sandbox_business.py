"""Business posted into a running world: every kind keeps the books right and shows where the vendor would show it."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

import pytest
import requests

if TYPE_CHECKING:
    from tests.sandbox.conftest import Erp, Sandbox, Start

LINES = "API_GLACCOUNTLINEITEM/GLAccountLineItem"
CUBE = "API_OPLACCTGDOCITEMCUBE_SRV/A_OperationalAcctgDocItemCube"
KINDS = [
    "invoices", "credit_memos", "payments", "partials", "residuals", "reversals", "down_payments", "resets",
    "due_dates", "dunnings", "new_customers", "renamed_partners", "instalments", "undated", "discounts",
    "exchange_payments", "payments_on_account", "payment_reversals", "reissues", "cancellations",
    "replaced_partners", "moved_head_offices", "merged_customers",
]  # fmt: skip
UNCHANGED = {"dunnings", "renamed_partners", "replaced_partners", "moved_head_offices"}


DELTAS = {
    "created": "AccountingDocumentCreationDate",
    "cleared": "ClearingCreationDate",
    "changed": "LastChangeDate",
}


@pytest.fixture(scope="module")
def acme(shared_start: Start) -> Erp:
    return shared_start("--tenant", "acme", "--items", "600", "--today", "2026-11-24").tenants["acme"]


@pytest.fixture
def day(acme: Erp) -> str:
    """A day after everything that was posted before."""
    return (date.fromisoformat(acme.control("journal")["today"]) + timedelta(days=1)).isoformat()


def since(erp: Erp, field: str, day: str) -> list[dict[str, Any]]:
    condition = f"FinancialAccountType eq 'D' and {field} ge datetime'{day}T00:00:00'"
    return erp.rows(CUBE, filter=condition)


def open_sum(erp: Erp) -> Decimal:
    return sum((Decimal(i["company_amount"]) for i in erp.control("journal")["open_items"]), Decimal(0))


def ledger_sum(erp: Erp) -> Decimal:
    balances = erp.control("journal")["balances"]
    return sum((Decimal(row["company_amount"]) for row in balances if row["customer"]), Decimal(0))


def uncleared(erp: Erp, path: str, condition: str) -> Decimal:
    rows = erp.rows(path, select="CompanyCodeCurrency,AmountInCompanyCodeCurrency", filter=condition)
    return sum((Decimal(row["AmountInCompanyCodeCurrency"]) for row in rows), Decimal(0))


@pytest.mark.parametrize("kind", KINDS)
def test_the_books_stay_right(acme: Erp, day: str, kind: str) -> None:
    before = acme.control("journal")
    posted = acme.control("post", {kind: 3, "on": day})["posted"]
    after = acme.control("journal")
    assert [p["kind"] for p in posted] == [kind] * 3
    assert open_sum(acme) == ledger_sum(acme)
    for document in posted:
        condition = (
            f"CompanyCode eq '{document['company_code']}' and FiscalYear eq '{document['fiscal_year']}' and "
            f"AccountingDocument eq '{document['document']}' and FinancialAccountType eq 'D' and ClearingDate eq null"
        )
        assert uncleared(acme, CUBE, condition) == uncleared(acme, LINES, condition)
    assert sum(Decimal(row["company_amount"]) for row in after["balances"]) == 0
    assert (before["open_items"] == after["open_items"]) == (kind in UNCHANGED)


@pytest.mark.parametrize(
    ("kind", "moves"),
    [
        ("invoices", {"created", "changed"}),
        ("partials", {"created", "changed"}),
        ("payments", {"created", "cleared", "changed"}),
        ("residuals", {"created", "cleared", "changed"}),
        ("reversals", {"created", "cleared", "changed"}),
        ("resets", set()),
        ("due_dates", {"changed"}),
        ("dunnings", set()),
        ("undated", set()),
        ("payment_reversals", {"created", "cleared", "changed"}),
    ],
)
def test_a_delta_finds_what_the_vendor_would_show(acme: Erp, day: str, kind: str, moves: set[str]) -> None:
    acme.control("post", {kind: 1, "on": day})
    assert {name for name, field in DELTAS.items() if since(acme, field, day)} == moves


def test_a_partial_payment_leaves_both_open(acme: Erp, day: str) -> None:
    acme.control("post", {"partials": 1, "on": day})
    (part,) = since(acme, "AccountingDocumentCreationDate", day)
    assert (part["IsCleared"], part["FollowOnDocumentType"]) == (False, "Z")
    (invoice,) = acme.rows(
        CUBE,
        filter=f"CompanyCode eq '{part['CompanyCode']}' and FiscalYear eq '{part['InvoiceReferenceFiscalYear']}' and "
        f"AccountingDocument eq '{part['InvoiceReference']}' and "
        f"AccountingDocumentItem eq '{part['InvoiceItemReference']}'",
    )
    assert not invoice["IsCleared"]
    assert invoice["Customer"] == part["Customer"]
    assert 0 < -Decimal(part["AmountInTransactionCurrency"]) < Decimal(invoice["AmountInTransactionCurrency"])


def test_a_reversed_partial_payment_leaves_its_invoice_whole(acme: Erp, day: str) -> None:
    acme.control("post", {"partials": 1, "on": day})
    before = paid_in_part(acme, day)
    acme.control("post", {"partial_reversals": 1, "on": day})
    after = paid_in_part(acme, day)
    assert after < before
    assert len(before - after) == 1
    assert open_sum(acme) == ledger_sum(acme)


def paid_in_part(erp: Erp, day: str) -> set[tuple[str, ...]]:
    """Keys of the items of which less is open than they were posted with."""
    items = erp.control("evening", day=day)["items"]
    return {tuple(item["key"]) for item in items if item["open"] != item["original"]}


def test_a_reversed_receipt_opens_what_it_paid_and_is_cleared_by_its_reversal(acme: Erp, day: str) -> None:
    (posted,) = acme.control("post", {"payment_reversals": 1, "on": day})["posted"]
    rows = since(acme, "ClearingCreationDate", day)
    both = {row["AccountingDocument"] for row in rows}
    assert both == {posted["document"], next(r["ReverseDocument"] for r in rows if r["IsReversal"])}
    assert {row["ClearingAccountingDocument"] for row in rows} == {posted["document"]}
    assert sum(Decimal(row["AmountInCompanyCodeCurrency"]) for row in rows) == 0


def test_a_discount_is_kept_on_the_cleared_item(acme: Erp, day: str) -> None:
    (posted,) = acme.control("post", {"discounts": 1, "on": day})["posted"]
    (invoice,) = [
        row
        for row in since(acme, "ClearingCreationDate", day)
        if row["AccountingDocument"] != posted["document"]
    ]
    granted = Decimal(invoice["CashDiscountAmount"])
    percent = Decimal(invoice["CashDiscount1Percent"])
    amount = Decimal(invoice["AmountInTransactionCurrency"])
    assert 0 < granted == (amount * percent / 100).quantize(amount, ROUND_HALF_UP)


def test_an_invoice_is_posted_in_the_currency_asked_for(acme: Erp, day: str) -> None:
    acme.control("post", {"invoices": 3, "currency": "KWD", "on": day})
    found = since(acme, "AccountingDocumentCreationDate", day)
    assert [row["TransactionCurrency"] for row in found] == ["KWD"] * 3


def test_what_was_entered_before_and_committed_late_carries_the_day_of_entry(acme: Erp, day: str) -> None:
    before = (date.fromisoformat(day) - timedelta(days=1)).isoformat()
    acme.control("day", {"day": day})
    (posted,) = acme.control("post", {"invoices": 1, "entered": before})["posted"]
    found = since(acme, "AccountingDocumentCreationDate", before)
    assert posted["document"] in {row["AccountingDocument"] for row in found}
    assert posted["document"] not in {
        row["AccountingDocument"] for row in since(acme, "AccountingDocumentCreationDate", day)
    }


def test_a_residual_item_replaces_a_cleared_invoice(acme: Erp, day: str) -> None:
    acme.control("post", {"residuals": 1, "on": day})
    rows = since(acme, "AccountingDocumentCreationDate", day)
    (rest,) = [row for row in rows if row["PostingKey"] == "06"]
    cleared = since(acme, "ClearingCreationDate", day)
    assert not rest["IsCleared"]
    assert rest["InvoiceReference"] in {row["AccountingDocument"] for row in cleared}
    assert len(cleared) == 2


def test_a_reset_leaves_no_date_behind(acme: Erp, day: str) -> None:
    (posted,) = acme.control("post", {"resets": 1, "on": day})["posted"]
    rows = acme.rows(
        CUBE,
        filter=f"CompanyCode eq '{posted['company_code']}' and FiscalYear eq '{posted['fiscal_year']}' and "
        f"AccountingDocument eq '{posted['document']}' and FinancialAccountType eq 'D'",
    )
    opened = [row for row in rows if not row["IsCleared"]]
    assert opened
    changed = {row["__metadata"]["uri"] for row in since(acme, "LastChangeDate", day)}
    for row in opened:
        assert (row["ClearingDate"], row["ClearingCreationDate"], row["ClearingAccountingDocument"]) == (
            None,
            None,
            "",
        )
        assert row["__metadata"]["uri"] not in changed


def test_new_and_renamed_partners_are_found_by_their_dates(acme: Erp, day: str) -> None:
    acme.control("post", {"new_customers": 1, "renamed_partners": 1, "on": day})
    partners = "API_BUSINESS_PARTNER/A_BusinessPartner"
    (new,) = acme.rows(partners, filter=f"CreationDate ge datetime'{day}T00:00:00'")
    (renamed,) = acme.rows(partners, filter=f"LastChangeDate ge datetime'{day}T00:00:00'")
    assert new["LastChangeDate"] is None
    assert renamed["BusinessPartnerFullName"].endswith(" II")
    (item,) = since(acme, "AccountingDocumentCreationDate", day)
    assert item["Customer"] == new["Customer"]
    assert acme.rows("API_BUSINESS_PARTNER/A_CustomerCompany", filter=f"Customer eq '{new['Customer']}'")


def test_a_blocked_partner_disappears_without_an_error(acme: Erp, day: str) -> None:
    (posted,) = acme.control("post", {"blocked_partners": 1, "on": day})["posted"]
    condition = (
        f"CompanyCode eq '{posted['company_code']}' and FiscalYear eq '{posted['fiscal_year']}' and "
        f"AccountingDocument eq '{posted['document']}' and FinancialAccountType eq 'D'"
    )
    answer = acme.get(CUBE, filter=condition)
    assert (answer.status_code, answer.json()) == (200, {"d": {"results": []}})
    assert open_sum(acme) == ledger_sum(acme)


def test_the_next_day_of_the_worked_example(start: Start) -> None:
    erp = start("--world", "example").tenants["example"]
    keys = [["1010", "2026", "1800000012", "1"], ["1010", "2026", "1400000031", "2"]]
    erp.control("post", {"settle": [keys], "number": "1400000040", "on": "2026-03-02"})
    cleared = erp.rows(CUBE, filter="ClearingCreationDate ge datetime'2026-03-02T00:00:00'")
    amounts = sorted(Decimal(row["AmountInTransactionCurrency"]) for row in cleared)
    assert amounts == [Decimal(-350), Decimal(-250), Decimal(600)]
    assert {row["ClearingAccountingDocument"] for row in cleared} == {"1400000040"}


@pytest.mark.parametrize(
    "wish",
    [
        {"miracles": 1},
        {"invoices": 1, "company_code": "9999"},
        {"settle": [[["1010", "2026", "1", "1"]]]},
        {"invoices": 1, "on": "2026-02-30"},
        {"invoices": "many"},
        {"invoices": 1, "entered": "2999-01-01"},
        {"invoices": 1, "currency": "XXX"},
        ["invoices"],
    ],
)
def test_what_cannot_be_posted_is_refused_with_a_sentence(seeded: Sandbox, wish: object) -> None:
    answer = requests.post(f"{seeded.tenants['acme'].url}/_sandbox/post", json=wish, timeout=30)
    assert answer.status_code == 400
    assert answer.json()["error"]
