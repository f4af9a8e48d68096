"""The properties that are read, as one struct an entity set: the attribute `gl_account` is `GLAccount`.

A property with a default may be missing in a release; one without must be offered. Source: the OpenAPI
files of API_OPLACCTGDOCITEMCUBE_SRV, API_BILLING_DOCUMENT_SRV and API_BUSINESS_PARTNER; the others' names
from public code.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import msgspec

UPPER: Final = {"gl": "GL", "id": "ID", "vat": "VAT", "bp": "BP"}


def sap_name(attribute: str) -> str:
    """`gl_account` -> `GLAccount`."""
    return "".join(UPPER.get(word, word.capitalize()) for word in attribute.split("_"))


class ItemKey(msgspec.Struct, rename=sap_name, kw_only=True, frozen=True, gc=False):
    """What every read of A_OperationalAcctgDocItemCube selects: key, account, customer and signed amounts."""

    company_code: str
    fiscal_year: str
    accounting_document: str
    accounting_document_item: str
    accounting_document_category: str
    debit_credit_code: str
    special_gl_code: str
    gl_account: str
    customer: str
    net_due_date: str | None
    transaction_currency: str
    amount_in_transaction_currency: str
    company_code_currency: str
    amount_in_company_code_currency: str
    dunning_level: str | None = None


class Item(ItemKey, rename=sap_name, kw_only=True, frozen=True, gc=False):
    """The accounting item in full (interface sheet, section 2); receipts and allocations need the rest."""

    accounting_document_type: str
    posting_date: str
    clearing_date: str | None
    clearing_accounting_document: str
    clearing_doc_fiscal_year: str
    financial_account_type: str | None = None
    posting_key: str | None = None
    special_gl_transaction_type: str | None = None
    branch_account: str | None = None
    document_date: str | None = None
    due_calculation_base_date: str | None = None
    payment_terms: str | None = None
    cash_discount1_due_date: str | None = None
    cash_discount1_percent: str | None = None
    cash_discount2_due_date: str | None = None
    cash_discount2_percent: str | None = None
    cash_discount_base_amount: str | None = None
    cash_discount_amount: str | None = None
    cash_discount_amt_in_co_code_crcy: str | None = None
    balance_transaction_currency: str | None = None
    amount_in_balance_transac_crcy: str | None = None
    valuation_diff_amt_in_co_code_crcy: str | None = None
    is_cleared: bool | None = None
    clearing_creation_date: str | None = None
    clearing_item: str | None = None
    clearing_is_reversed: bool | None = None
    invoice_reference: str | None = None
    invoice_reference_fiscal_year: str | None = None
    invoice_item_reference: str | None = None
    follow_on_document_type: str | None = None
    bill_of_exchange_usage: str | None = None
    payment_method: str | None = None
    payment_blocking_reason: str | None = None
    payment_reference: str | None = None
    payment_difference_reason: str | None = None
    dunning_area: str | None = None
    dunning_blocking_reason: str | None = None
    last_dunning_date: str | None = None
    billing_document: str | None = None
    sales_document: str | None = None
    document_reference_id: str | None = None
    assignment_reference: str | None = None
    document_item_text: str | None = None
    is_reversal: bool | None = None
    is_reversed: bool | None = None
    reverse_document: str | None = None
    reverse_document_fiscal_year: str | None = None
    reversal_reason: str | None = None
    intercompany_transaction: str | None = None
    source_company_code: str | None = None
    is_negative_posting: bool | None = None
    accounting_document_creation_date: str | None = None
    creation_time: str | None = None
    last_change_date: str | None = None
    value_date: str | None = None


class CompanyCode(msgspec.Struct, rename=sap_name, kw_only=True, frozen=True):
    """A_CompanyCode."""

    company_code: str
    currency: str
    company_code_name: str | None = None
    country: str | None = None
    vat_registration: str | None = None


class CustomerCompany(msgspec.Struct, rename=sap_name, kw_only=True, frozen=True):
    """A_CustomerCompany: a customer in one company code."""

    customer: str
    company_code: str
    reconciliation_account: str
    payment_terms: str | None = None
    alternative_payer_account: str | None = None
    customer_head_office: str | None = None


class Customer(msgspec.Struct, rename=sap_name, kw_only=True, frozen=True):
    """A_Customer: a customer in general."""

    customer: str
    customer_name: str | None = None
    customer_full_name: str | None = None
    posting_is_blocked: bool | None = None
    tax_number1: str | None = None
    tax_number2: str | None = None
    vat_registration: str | None = None


class BusinessPartner(msgspec.Struct, rename=sap_name, kw_only=True, frozen=True):
    """A_BusinessPartner: the partner behind a customer; its number may be another."""

    business_partner: str
    customer: str
    business_partner_full_name: str | None = None
    correspondence_language: str | None = None
    language: str | None = None
    business_partner_is_blocked: bool | None = None


class Address(msgspec.Struct, rename=sap_name, kw_only=True, frozen=True):
    """A_BusinessPartnerAddress."""

    business_partner: str
    address_id: str = msgspec.field(name="AddressID")
    country: str | None = None
    validity_start_date: str | None = None
    validity_end_date: str | None = None


class Email(msgspec.Struct, rename=sap_name, kw_only=True, frozen=True):
    """A_AddressEmailAddress."""

    address_id: str
    ordinal_number: str | None = None
    is_default_email_address: bool | None = None
    email_address: str | None = None


class TaxNumber(msgspec.Struct, rename=sap_name, kw_only=True, frozen=True):
    """A_BusinessPartnerTaxNumber."""

    business_partner: str
    bp_tax_type: str
    bp_tax_number: str | None = None
    bp_tax_long_number: str | None = None


class Dunning(msgspec.Struct, rename=sap_name, kw_only=True, frozen=True):
    """A_CustomerDunning."""

    customer: str
    company_code: str
    dunning_area: str | None = None
    dunning_block: str | None = None


class BillingDocument(msgspec.Struct, rename=sap_name, kw_only=True, frozen=True):
    """A_BillingDocument: the header of what SD has invoiced."""

    billing_document: str
    company_code: str
    billing_document_type: str
    transaction_currency: str
    total_net_amount: str
    tax_amount: str
    total_gross_amount: str
    billing_document_is_cancelled: bool | None = None
    cancelled_billing_document: str | None = None


class TaxCondition(msgspec.Struct, rename=sap_name, kw_only=True, frozen=True):
    """A_BillingDocumentItemPrcgElmnt, as a tax of one item."""

    billing_document: str
    billing_document_item: str
    pricing_procedure_step: str
    pricing_procedure_counter: str
    condition_class: str
    condition_type: str
    condition_rate_value: str
    condition_base_value: str
    condition_amount: str
    tax_code: str | None = None
    condition_calculation_type: str | None = None
    condition_is_for_statistics: bool | None = None
    condition_inactive_reason: str | None = None


class Balance(msgspec.Struct, rename=sap_name, kw_only=True, frozen=True):
    """C_TRIALBALANCE Results: one account at the end of the period."""

    company_code: str
    gl_account: str
    company_code_currency: str
    ending_balance_amt_in_co_code_crcy: str


class LedgerAccount(msgspec.Struct, rename=sap_name, kw_only=True, frozen=True):
    """GLAccountLineItem, as the list of accounts."""

    company_code: str
    gl_account: str


class LedgerSum(msgspec.Struct, rename=sap_name, kw_only=True, frozen=True):
    """GLAccountLineItem, summed by account and currency."""

    company_code: str
    gl_account: str
    transaction_currency: str
    amount_in_transaction_currency: str
    company_code_currency: str
    amount_in_company_code_currency: str


class LedgerCustomer(LedgerSum, rename=sap_name, kw_only=True, frozen=True):
    """GLAccountLineItem, summed by customer as well; an empty customer is a posting without one."""

    customer: str


class LedgerDocument(LedgerSum, rename=sap_name, kw_only=True, frozen=True):
    """GLAccountLineItem, summed by document."""

    fiscal_year: str
    accounting_document: str


@cache
def wanted(shape: type[msgspec.Struct]) -> tuple[str, ...]:
    """Every property that the struct reads, by SAP's name, keys first."""
    return tuple(field.encode_name for field in msgspec.structs.fields(shape))


@cache
def required(shape: type[msgspec.Struct]) -> tuple[str, ...]:
    """The properties that must be offered."""
    return tuple(field.encode_name for field in msgspec.structs.fields(shape) if field.required)


@cache
def amounts(shape: type[msgspec.Struct]) -> tuple[str, ...]:
    """The properties that are amounts and must name their currency."""
    return tuple(name for name in wanted(shape) if "Amount" in name or "Amt" in name)
