"""Rows become records by the rules of the interface sheet; settings say what codes mean."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.systems import SYSTEMS
from connectors.systems.sap_s4hana.customers import Customers, luhn
from connectors.systems.sap_s4hana.entities import CompanyCodes
from connectors.systems.sap_s4hana.fields import Item, amounts, required, wanted
from connectors.systems.sap_s4hana.items import Items, ShortItems, canonical
from connectors.systems.sap_s4hana.plan import month_before
from connectors.systems.sap_s4hana.settings import Settings
from connectors.systems.sap_s4hana.totals import forms, period_end
from receivables.errors import Unreadable
from receivables.records import ControlAccount, Customer, Document, LegalEntity, OpenItem, Receipt

TODAY = date(2026, 11, 24)
BASE: dict[str, Any] = {"base_url": "https://sap.example.com", "company_codes": "1010"}


def made(**values: Any) -> Settings:
    return Settings.model_validate({**BASE, **values})


def row(**values: Any) -> bytes:
    item: dict[str, Any] = {
        "__metadata": {"uri": "https://sap.example.com/x('1')", "type": "T"},
        "CompanyCode": "1010", "FiscalYear": "2026", "AccountingDocument": "0100000012",
        "AccountingDocumentItem": "001", "AccountingDocumentCategory": "", "AccountingDocumentType": "RV",
        "DebitCreditCode": "S", "SpecialGLCode": "", "GLAccount": "0012100000", "Customer": "0010100001",
        "PostingDate": "/Date(1768435200000)/", "NetDueDate": None, "ClearingDate": None,
        "ClearingAccountingDocument": "", "ClearingDocFiscalYear": "0000", "TransactionCurrency": "EUR",
        "AmountInTransactionCurrency": "600.00", "CompanyCodeCurrency": "EUR", "AmountInCompanyCodeCurrency": "600.00",
    }  # fmt: skip
    return json.dumps({**item, **values}).encode()


def adapt(*rows: bytes, **settings: Any) -> tuple[list[Any], list[Unreadable]]:
    adapted = Items(made(**settings), TODAY)(rows)
    return adapted.records, [error for _, error in adapted.unreadable]


def one(kind: type[Any], *rows: bytes, **settings: Any) -> Any:
    records, errors = adapt(*rows, **settings)
    assert not errors
    found = [record for record in records if isinstance(record, kind)]
    assert len(found) <= 1
    return found[0] if found else None


def test_keys_lose_their_leading_zeros_and_documents_keep_them_printed() -> None:
    item = one(OpenItem, row())
    assert (item.number, item.instalment, item.account, item.customer) == (
        "100000012",
        "1",
        "12100000",
        "10100001",
    )
    document = one(Document, row())
    assert (document.number, document.printed) == ("100000012", "0100000012")
    assert [canonical(text, "F") for text in ("000", "A01", "0A1", "7")] == ["0", "A01", "0A1", "7"]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({}, "invoice"),
        ({"AccountingDocumentType": "DR"}, "invoice"),
        ({"DebitCreditCode": "H", "AmountInTransactionCurrency": "-1.00", "AmountInCompanyCodeCurrency": "-1.00"}, "credit_note"),
        ({"DebitCreditCode": "H", "AmountInTransactionCurrency": "-1.00", "AmountInCompanyCodeCurrency": "-1.00", "IsReversal": True}, "invoice"),
        ({"AccountingDocumentType": "DG"}, "debit_note"),
        ({"AccountingDocumentType": "DG", "IsReversal": True}, "credit_note"),
        ({"AccountingDocumentType": "DZ"}, "journal"),
        ({"AccountingDocumentType": "AB"}, "journal"),
        ({"AccountingDocumentType": "ZZ"}, "journal"),
        ({"AccountingDocumentType": "DR", "SpecialGLCode": "A"}, "advance"),
    ],
)  # fmt: skip
def test_the_kind_of_a_document_follows_type_and_sign(values: dict[str, Any], kind: str | None) -> None:
    document = one(Document, row(**values))
    assert (document.kind if document else None) == kind
    assert one(OpenItem, row(**values)) is not None


CREDIT: dict[str, Any] = {
    "DebitCreditCode": "H",
    "AmountInTransactionCurrency": "-110.00",
    "TransactionCurrency": "USD",
    "AmountInCompanyCodeCurrency": "-100.00",
}


def test_a_credit_of_a_payment_is_a_receipt_and_no_document() -> None:
    payment = row(
        AccountingDocumentType="DZ", **CREDIT, InvoiceReference="0100000012", InvoiceReferenceFiscalYear="2026",
        InvoiceItemReference="002", FollowOnDocumentType="Z", ValueDate="/Date(1768521600000)/",
        DocumentReferenceID="WIRE 7", IsReversed=True,
    )  # fmt: skip
    receipt = one(Receipt, payment)
    assert (one(OpenItem, payment), one(Document, payment)) == (None, None)
    assert (receipt.number, receipt.line, receipt.printed) == ("100000012", "1", "0100000012")
    assert (receipt.amount, receipt.unapplied, receipt.currency) == ("110.00", "110.00", "USD")
    assert (receipt.company_amount, receipt.company_unapplied) == ("100.00", "100.00")
    assert (receipt.booked_on, receipt.value_on, receipt.status) == ("2026-01-15", "2026-01-16", "reversed")
    assert (receipt.related, receipt.bank_reference) == ("100000012/2026/2", "WIRE 7")
    assert one(ControlAccount, payment).kind == "trade"


def test_a_cleared_receipt_has_nothing_unapplied() -> None:
    cleared = {
        "ClearingAccountingDocument": "9",
        "ClearingDocFiscalYear": "2026",
        "ClearingDate": "/Date(1768521600000)/",
    }
    receipt = one(Receipt, row(AccountingDocumentType="DZ", **CREDIT, **cleared))
    assert (receipt.amount, receipt.unapplied, receipt.company_unapplied) == ("110.00", "0", "0")
    assert (receipt.cleared_on, receipt.clearing_document) == ("2026-01-16", "9/2026")


def test_a_payment_that_follows_on_otherwise_names_nothing_to_pay() -> None:
    named = {"InvoiceReference": "12", "InvoiceReferenceFiscalYear": "2026", "InvoiceItemReference": "1"}
    for follow_on, related in (("Z", "12/2026/1"), ("", "12/2026/1"), (None, "12/2026/1"), ("V", None)):
        payment = row(AccountingDocumentType="DZ", **CREDIT, **named, FollowOnDocumentType=follow_on)
        assert one(Receipt, payment).related == related


def test_a_debit_of_a_payment_is_the_residual_of_a_journal_document() -> None:
    residual = row(
        AccountingDocumentType="DZ", AccountingDocumentItem="003", InvoiceReference="12",
        InvoiceReferenceFiscalYear="2026", InvoiceItemReference="1",
    )  # fmt: skip
    records, errors = adapt(
        row(AccountingDocumentType="DZ", AccountingDocumentItem="002", **CREDIT), residual
    )
    assert not errors
    (item,) = [r for r in records if isinstance(r, OpenItem)]
    (document,) = [r for r in records if isinstance(r, Document)]
    assert (item.instalment, item.original, item.related) == ("3", "600.00", "12/2026/1")
    assert (document.type, document.kind, document.related) == ("DZ", "journal", "12/2026/1")


MEMO: dict[str, Any] = {
    **CREDIT, "InvoiceReference": "12", "InvoiceReferenceFiscalYear": "2026", "InvoiceItemReference": "1",
}  # fmt: skip


@pytest.mark.parametrize(
    ("values", "settings", "pays"),
    [
        ({}, {}, None),
        ({}, {"credit_reference_allocates": True}, "12/2026/1"),
        ({"AccountingDocumentType": "DG"}, {"credit_reference_allocates": True}, "12/2026/1"),
        ({"IsReversal": True}, {"credit_reference_allocates": True}, None),
        ({"AccountingDocumentType": "AB"}, {"credit_reference_allocates": True}, None),
        ({"InvoiceReference": "V"}, {"credit_reference_allocates": True}, None),
    ],
)
def test_a_credit_memo_pays_what_it_names_only_where_settings_say_so(
    values: dict[str, Any], settings: dict[str, Any], pays: str | None
) -> None:
    item = one(OpenItem, row(**MEMO | values), **settings)
    assert (item.pays, item.open) == (pays, "-110.00")


def test_the_discount_of_a_clearing_has_no_sign() -> None:
    cleared = {
        "ClearingAccountingDocument": "9",
        "ClearingDocFiscalYear": "2026",
        "ClearingDate": "/Date(1768521600000)/",
    }
    for printed in ("12.00", "-12.00"):
        discounts = {"CashDiscountAmount": printed, "CashDiscountAmtInCoCodeCrcy": printed}
        item = one(OpenItem, row(**cleared, **discounts))
        assert (item.discount, item.company_discount) == ("12.00", "12.00")
        assert one(OpenItem, row(**discounts)).discount is None
    assert one(OpenItem, row(**cleared, CashDiscountAmount="0.00")).discount is None


def test_settings_say_what_types_and_special_ledgers_mean() -> None:
    document = one(Document, row(AccountingDocumentType="ZR"), document_kinds="ZR=invoice,DZ=receipt")
    assert document.kind == "invoice"
    special = one(ControlAccount, row(SpecialGLCode="Q"), special_gl_kinds="Q=doubtful")
    assert special.kind == "doubtful"
    assert [one(ControlAccount, row(SpecialGLCode=code)).kind for code in ("", "A", "W", "Q")] == [
        "trade", "advances", "notes", "special",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "values", [{"AccountingDocumentCategory": c} for c in "DMSVWZ"] + [{"SpecialGLCode": "F"}]
)
def test_what_is_not_posted_is_left_out_and_still_remembered(values: dict[str, str]) -> None:
    adapted = Items(made(), TODAY)([row(**values)])
    assert (adapted.records, adapted.unreadable) == ([], [])
    assert adapted.keys == [(0, b"1010/2026/0100000012/001")]


def test_clearing_leaves_the_original_and_nothing_open() -> None:
    item = one(OpenItem, row(
        ClearingAccountingDocument="0140000040", ClearingDocFiscalYear="2026", ClearingDate="/Date(1768521600000)/",
        AmountInTransactionCurrency="12500.000", TransactionCurrency="JPY",
    ))  # fmt: skip
    assert (item.original, item.open, item.company_original, item.company_open) == (
        "12500",
        "0",
        "600.00",
        "0",
    )
    assert (item.cleared_on, item.clearing_document) == ("2026-01-16", "140000040/2026")
    _, (error,) = adapt(row(ClearingAccountingDocument="1"))
    assert (error.code, error.field) == ("day_missing", "ClearingDate")


def test_references() -> None:
    document = one(Document, row(
        InvoiceReference="0090000001", InvoiceReferenceFiscalYear="2025", InvoiceItemReference="1",
        IsReversal=True, ReverseDocument="0100000011", ReverseDocumentFiscalYear="2025", BillingDocument="0090000123",
        DocumentReferenceID="0090000123", IsReversed=False,
    ))  # fmt: skip
    assert (document.related, document.reversal_of) == ("90000001/2025/1", "100000011/2025")
    assert (document.billing_document, document.reference) == ("90000123", "0090000123")
    assert one(Document, row(InvoiceReference="V", InvoiceReferenceFiscalYear="0000")).related is None
    assert one(Document, row(IsReversed=True, ReverseDocument="1")).reversal_of is None
    assert one(Document, row(IsReversed=True)).status == "reversed"


@pytest.mark.parametrize(
    ("values", "code", "field"),
    [
        ({"DebitCreditCode": "H"}, "sign_contradiction", "DebitCreditCode"),
        ({"AmountInTransactionCurrency": "-600.00"}, "sign_contradiction", "DebitCreditCode"),
        ({"AmountInTransactionCurrency": "12.345"}, "amount_scale", "AmountInTransactionCurrency"),
        ({"AmountInTransactionCurrency": "Infinity"}, "amount_form", "AmountInTransactionCurrency"),
        ({"TransactionCurrency": "CLF", "AmountInTransactionCurrency": "1.000"}, "currency_scale", "TransactionCurrency"),
        ({"AmountInTransactionCurrency": 600.0}, "field_type", "AmountInTransactionCurrency"),
        ({"GLAccount": None}, "field_type", "GLAccount"),
        ({"Customer": "1\u0000"}, "key_character", "Customer"),
        ({"PostingDate": None}, "field_type", "PostingDate"),
        ({"PostingDate": "/Date(0)/"}, "day_range", "PostingDate"),
        ({"PaymentMethod": "\ud800"}, "text_character", "PaymentMethod"),
        ({"DunningBlockingReason": "\u0000"}, "text_character", "DunningBlockingReason"),
    ],
)  # fmt: skip
def test_rows_that_are_set_aside(values: dict[str, Any], code: str, field: str) -> None:
    records, (error,) = adapt(row(**values), row(AccountingDocument="2"))
    assert (error.code, error.field) == (code, field)
    assert [r.number for r in records if isinstance(r, OpenItem)] == ["2"]


def test_zero_and_negative_postings_are_no_contradiction() -> None:
    assert one(
        OpenItem,
        row(DebitCreditCode="H", AmountInTransactionCurrency="0.00", AmountInCompanyCodeCurrency="-0.01"),
    )
    assert one(OpenItem, row(IsNegativePosting=True)).open == "600.00"


def test_an_item_twice_on_a_page_is_set_aside_once() -> None:
    records, (error,) = adapt(row(), row())
    assert (error.code, error.key) == ("key_twice", "1010/2026/0100000012/001")
    assert len([r for r in records if isinstance(r, OpenItem)]) == 1


def test_short_items_show_what_may_change() -> None:
    (swept,) = ShortItems(made(), TODAY)([row(DunningLevel="2", NetDueDate="/Date(1771027200000)/")]).records
    item = one(OpenItem, row(DunningLevel="2", NetDueDate="/Date(1771027200000)/"))
    assert {name: getattr(swept, name) for name in swept.__struct_fields__} == {
        name: getattr(item, name) for name in swept.__struct_fields__
    }
    assert one(OpenItem, row(DunningLevel="0")).dunning_level is None


def test_the_selection_is_the_sheets() -> None:
    assert len(wanted(Item)) == 70
    assert {"CompanyCode", "GLAccount", "DocumentReferenceID", "CashDiscount1DueDate"} <= set(wanted(Item))
    assert set(required(Item)) < set(wanted(Item))
    assert "CashDiscountAmtInCoCodeCrcy" in amounts(Item)


def joined(**customer: Any) -> bytes:
    return json.dumps({
        "A_CustomerCompany": {"Customer": "0010100001", "CompanyCode": "1010", "ReconciliationAccount": "0012100000"},
        "A_Customer": {"Customer": "0010100001", "CustomerName": "Société Générale", **customer},
        "A_BusinessPartnerAddress": {"BusinessPartner": "1", "AddressID": "2", "Country": "FR"},
    }).encode()  # fmt: skip


def test_a_customers_bad_text_leaves_it_empty_and_a_reject() -> None:
    adapted = Customers()([joined(VATRegistration="FR\u0000", TaxNumber2="732829320")])
    customer = next(record for record in adapted.records if isinstance(record, Customer))
    assert (customer.number, customer.printed, customer.vat_id) == ("10100001", "0010100001", None)
    ((_, error),) = adapted.unreadable
    assert (error.code, error.field, error.key) == ("text_character", "VATRegistration", "1010/0010100001")
    assert adapted.keys == []


def test_an_address_whose_validity_cannot_be_read_is_not_used() -> None:
    row_ = json.loads(joined())
    row_["A_BusinessPartnerAddress"]["ValidityEndDate"] = "2026-02-30"
    adapted = Customers()([json.dumps(row_).encode()])
    assert next(record for record in adapted.records if isinstance(record, Customer)).country is None
    ((_, error),) = adapted.unreadable
    assert (error.code, error.field) == ("day_form", "ValidityEndDate")


@pytest.mark.parametrize(
    ("values", "siren"),
    [
        ({"TaxNumber2": "732829320"}, "732829320"),
        ({"TaxNumber2": "732829321"}, None),
        ({"TaxNumber1": "73282932000074"}, "732829320"),
        ({"VATRegistration": "FR44732829320"}, "732829320"),
        ({"VATRegistration": "DE123456789"}, None),
        ({}, None),
    ],
)
def test_a_siren_must_pass_its_check_digit(values: dict[str, str], siren: str | None) -> None:
    adapted = Customers()([joined(**values)])
    assert next(record for record in adapted.records if isinstance(record, Customer)).registration_id == siren
    assert luhn("732829320")


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"base_url": "sap.example.com"}, "base_url"),
        ({"base_url": "https://u:secret@sap.example.com"}, "base_url"),
        ({"company_codes": ""}, "company_codes"),
        ({"company_codes": "1010,1010"}, "company_codes"),
        ({"company_codes": "1010' or '1"}, "company_codes"),
        ({"zone": "Mars/Olympus"}, "zone"),
        ({"zones": "1010=Mars/Olympus"}, "zones"),
        ({"zones": "1010"}, "zones"),
        ({"sap_client": "1"}, "sap_client"),
        ({"document_kinds": "RV"}, "document_kinds"),
        ({"document_kinds": "RV=poem"}, "document_kinds"),
        ({"control_accounts": "1010/"}, "control_accounts"),
        ({"company_currencies": "1010=ABC"}, "company_currencies"),
        ({"page_size": "5"}, "page_size"),
        ({"proxy": "http://u:secret@proxy"}, "proxy"),
        ({"url": "https://x"}, "url"),
    ],
)
def test_settings_that_are_wrong_name_their_field_and_hide_what_was_typed(
    settings: dict[str, str], field: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        made(**settings)
    assert refused.value.errors()[0]["loc"][0] == field
    assert "secret" not in str(refused.value)


def test_settings_are_read_from_text_and_survive_storing() -> None:
    chosen = made(control_accounts="1010/0012130000,21190000", sap_client="100", history_months="3")
    assert chosen.extra_accounts() == {("1010", "12130000"), ("1010", "21190000")}
    assert Settings.model_validate(json.loads(json.dumps(chosen.model_dump(mode="json")))) == chosen
    assert all(field.description for field in Settings.model_fields.values())


def test_meaning_changes_with_what_changes_the_rows_and_with_nothing_else() -> None:
    plain = made().meaning()
    changes: list[dict[str, Any]] = [
        {"sap_client": "200"},
        {"history_months": 1},
        {"document_kinds": "RV=journal"},
        {"zone": "Asia/Tokyo"},
        {"zones": "1010=Asia/Tokyo"},
        {"credit_reference_allocates": True},
        {"billing": False},
    ]
    for changed in changes:
        assert made(**changed).meaning() != plain
    others: list[dict[str, Any]] = [
        {"page_size": 100},
        {"max_parallel": 1},
        {"proxy": "http://proxy.example:3128"},
    ]
    for same in others:
        assert made(**same).meaning() == plain


def test_periods_and_months() -> None:
    assert period_end(date(2028, 2, 1)) == date(2028, 2, 29)
    assert [month_before(date(2026, 1, 31), back) for back in (-1, 0, 1, 13)] == [
        date(2026, 2, 1), date(2026, 1, 1), date(2025, 12, 1), date(2024, 12, 1),
    ]  # fmt: skip
    assert forms("12100000") == ("12100000", "0012100000")
    assert forms("DEB") == ("DEB",)


def test_a_company_code_has_the_zone_that_settings_give_it() -> None:
    rows = [json.dumps({"CompanyCode": code, "Currency": "EUR"}).encode() for code in ("1010", "1710")]
    adapted = CompanyCodes(made(zones="1710=America/New_York"))(rows)
    assert [(one.code, one.zone) for one in adapted.records if isinstance(one, LegalEntity)] == [
        ("1010", None), ("1710", "America/New_York"),
    ]  # fmt: skip


def test_the_system_is_listed() -> None:
    system = SYSTEMS["sap_s4hana"]
    settings = system.Settings.model_validate({**BASE, "sap_client": "100"})
    assert system.erp(settings) == ("sap_s4hana https://sap.example.com:443", 2)
    assert system.origin(settings) == "https://sap.example.com:443"
