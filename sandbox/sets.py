"""The entity sets: which rows each one shows and where every property's value comes from.

Raw forms follow the recorded samples [F]: keys without leading zeros, years as "0000" and numeric text as
"0" when there is no value, text as "", and null only for days. It refuses a set whose columns are not those
that its metadata declares.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from operator import attrgetter
from typing import Any

from sandbox import edmx, sales
from sandbox.books import ZERO, Account, Item
from sandbox.faults import View
from sandbox.filters import Column, always

CATEGORIES = {"": "Normal document", "S": "Noted items", "V": "Parked document"}
ACCOUNT_NAMES = {
    "12100000": "Trade Rcvbls Domestic",
    "12120000": "Trade Rcvbls Foreign",
    "21190000": "Down Payments Received",
    "11001000": "Bank 1 Main",
    "41000000": "Revenue",
    "22000000": "Output Tax",
    "44000000": "Cash Discount Granted",
    "71010000": "Exchange Rate Difference",
}
NO_END = date(9999, 12, 31)
Rows = Callable[[View, Collection[str] | None], Sequence[Any]]
_generated = itertools.count(1)


def make_columns(places: Mapping[str, str | Column]) -> dict[str, Column]:
    """Turn attribute paths into getters."""
    return {name: attrgetter(place) if isinstance(place, str) else place for name, place in places.items()}


def _cleared(attribute: str, nothing: Any) -> Column:
    return lambda row: nothing if row.clearing is None else getattr(row.clearing, attribute)


def _amount_or_zero(attribute: str, currency: str) -> Column:
    get_currency = attrgetter(currency)

    def column(row: Any) -> Decimal:
        value = getattr(row, attribute)
        return ZERO[get_currency(row)] if value is None else value

    return column


def _reversal_partner(attribute: str, nothing: str) -> Column:
    return lambda item: (
        nothing if item.document.reverses is None else getattr(item.document.reverses, attribute)
    )


def _exchange_rate(item: Item) -> Decimal:
    """Print 0.00000 when both currencies are the same [F]."""
    if item.document.currency == item.document.company.currency or not item.amount:
        return Decimal("0.00000")
    return (item.company_amount / item.amount).quantize(Decimal("0.00001"))


DOCUMENT_CURRENCY = "document.currency"
COMPANY_CURRENCY = "document.company.currency"

ITEM: dict[str, str | Column] = {
    "CompanyCode": "document.company.code",
    "FiscalYear": "document.year",
    "AccountingDocument": "document.number",
    "AccountingDocumentItem": lambda item: str(item.number),
    "CompanyCodeName": "document.company.name",
    "ChartOfAccounts": always("YCOA"),
    "AccountingDocumentItemType": always(""),
    "ClearingDate": _cleared("day", None),
    "ClearingCreationDate": _cleared("entered", None),
    "ClearingAccountingDocument": _cleared("document", ""),
    "IsCleared": lambda item: item.clearing is not None,
    "PostingKey": "posting_key",
    "FinancialAccountType": "account_type",
    "SpecialGLCode": "special_gl",
    "SpecialGLTransactionType": lambda item: {"A": "A", "F": "A", "W": "W"}.get(item.special_gl, ""),
    "DebitCreditCode": "debit_credit",
    "ValueDate": "value_date",
    "AssignmentReference": "assignment",
    "DocumentItemText": "text",
    "BillingDocument": "billing_document",
    "SalesDocument": "sales_document",
    "IsOpenItemManaged": lambda item: "X" if item.account_type == "D" else "",
    "GLAccount": "account",
    "GLAccountName": lambda item: ACCOUNT_NAMES.get(item.account, ""),
    "Customer": "customer",
    "BranchAccount": "branch",
    "DueCalculationBaseDate": "base_date",
    "PaymentTerms": "terms",
    "CashDiscount1Days": lambda item: Decimal(
        (item.discount_1_date - item.base_date).days if item.discount_1_date else 0
    ),
    "CashDiscount2Days": always(Decimal(0)),
    "NetPaymentDays": lambda item: Decimal(item.net_days),
    "CashDiscount1Percent": "discount_1_percent",
    "CashDiscount2Percent": always(Decimal("0.000")),
    "PaymentMethod": "payment_method",
    "PaymentBlockingReason": "payment_block",
    "HouseBank": lambda item: "BANK1" if item.account == "11001000" else "",
    "InvoiceReference": "invoice_reference",
    "InvoiceReferenceFiscalYear": "invoice_reference_year",
    "InvoiceItemReference": "invoice_item_reference",
    "FollowOnDocumentType": "follow_on",
    "BillOfExchangeUsage": always(""),
    "DunningBlockingReason": "dunning_block",
    "LastDunningDate": "last_dunned",
    "DunningLevel": "dunning_level",
    "DunningArea": "dunning_area",
    "PaymentDifferenceReason": "difference_reason",
    "ClearingIsReversed": always(False),
    "IsNegativePosting": "is_negative_posting",
    "PaymentReference": "payment_reference",
    "ClearingItem": always(Decimal(0)),
    "ClearingDocFiscalYear": _cleared("year", "0000"),
    "OriginalReferenceDocument": lambda item: (
        f"{item.document.number:0>10}{item.document.company.code}{item.document.year}"
    ),
    "FiscalPeriod": lambda item: str(item.document.posting_date.month),
    "AccountingDocumentCategory": "document.category",
    "AccountingDocumentCategoryName": lambda item: CATEGORIES[item.document.category],
    "PostingDate": "document.posting_date",
    "DocumentDate": "document.document_date",
    "AccountingDocumentType": "document.kind",
    "NetDueDate": "due_date",
    "CashDiscount1DueDate": "discount_1_date",
    "CashDiscount2DueDate": always(None),
    "OffsettingAccount": always(""),
    "OffsettingAccountType": always(""),
    "CompanyCodeCurrency": COMPANY_CURRENCY,
    "AmountInCompanyCodeCurrency": "company_amount",
    "ValuationDiffAmtInCoCodeCrcy": lambda item: ZERO[item.document.company.currency],
    "CashDiscountAmtInCoCodeCrcy": _amount_or_zero("company_discount", COMPANY_CURRENCY),
    "TransactionCurrency": DOCUMENT_CURRENCY,
    "AmountInTransactionCurrency": "amount",
    "CashDiscountBaseAmount": _amount_or_zero("discount_base", DOCUMENT_CURRENCY),
    "CashDiscountAmount": _amount_or_zero("discount", DOCUMENT_CURRENCY),
    "BalanceTransactionCurrency": DOCUMENT_CURRENCY,
    "AmountInBalanceTransacCrcy": "amount",
    "AccountingDocumentCreationDate": lambda item: None if item.document.undated else item.document.entered,
    "CreationTime": "document.entered_time",
    "LastChangeDate": lambda item: (
        item.document.changed or (None if item.document.undated else item.document.entered)
    ),
    "ExchangeRateDate": "document.posting_date",
    "TransactionCode": "document.transaction",
    "IntercompanyTransaction": always(""),
    "DocumentReferenceID": "document.reference",
    "ReverseDocument": _reversal_partner("number", ""),
    "ReverseDocumentFiscalYear": _reversal_partner("year", "0000"),
    "ExchangeRate": _exchange_rate,
    "SourceCompanyCode": always(""),
    "ReversalReason": "document.reversal_reason",
    "LatePaymentReason": always(""),
    "IsReversal": "document.is_reversal",
    "IsReversed": "document.is_reversed",
}


CUSTOMER: dict[str, str | Column] = {
    "Customer": "number",
    "CustomerName": "name",
    "CustomerFullName": lambda c: f"{c.name}/{c.postal_code} {c.city}",
    "CustomerAccountGroup": "group",
    "CreationDate": "created",
    "PostingIsBlocked": "posting_blocked",
    "DeletionIndicator": "deleted",
    "CustomerCorporateGroup": "corporate_group",
    "TaxNumber1": "tax_number_1",
    "TaxNumber2": "tax_number_2",
    "VATRegistration": "vat",
    "Supplier": "supplier",
    "OrderIsBlockedForCustomer": always(""),
}
CUSTOMER_COMPANY: dict[str, str | Column] = {
    "Customer": "customer.number",
    "CompanyCode": "company.code",
    "ReconciliationAccount": "reconciliation_account",
    "PaymentTerms": "terms",
    "PaymentMethodsList": "methods",
    "PaymentBlockingReason": "block",
    "AlternativePayerAccount": "alternative_payer",
    "CustomerHeadOffice": "head_office",
    "AccountingClerk": "clerk",
    "UserAtCustomer": "user_at_customer",
    "DeletionIndicator": always(False),
    "CustomerSupplierClearingIsUsed": always(False),
    "CustomerAccountGroup": "customer.group",
}
PARTNER: dict[str, str | Column] = {
    "BusinessPartner": "partner",
    "Customer": "number",
    "BusinessPartnerCategory": always("2"),
    "BusinessPartnerFullName": "name",
    "BusinessPartnerGrouping": always("BP02"),
    "BusinessPartnerUUID": "uuid",
    "CorrespondenceLanguage": "language",
    "Language": "language",
    "LastChangeDate": "changed",
    "LastChangeTime": "changed_time",
    "CreationDate": "created",
    "CreationTime": "created_time",
    "BusinessPartnerIsBlocked": "blocked",
    "IsMarkedForArchiving": "deleted",
    "TradingPartner": "trading_partner",
}
ADDRESS: dict[str, str | Column] = {
    "BusinessPartner": "partner",
    "AddressID": "address",
    "StreetName": "street",
    "HouseNumber": "house_number",
    "PostalCode": "postal_code",
    "CityName": "city",
    "Region": "region",
    "Country": "country",
    "Language": "language",
    "ValidityStartDate": "created",
    "ValidityEndDate": always(NO_END),
}
EMAIL: dict[str, str | Column] = {
    "AddressID": "address",
    "Person": always(""),
    "OrdinalNumber": always("1"),
    "IsDefaultEmailAddress": always(True),
    "EmailAddress": "email",
}
TAX_NUMBER: dict[str, str | Column] = {
    "BusinessPartner": lambda row: row[0].partner,
    "BPTaxType": lambda row: row[1],
    "BPTaxNumber": lambda row: row[2][:20],
    "BPTaxLongNumber": always(""),
}
DUNNING: dict[str, str | Column] = {
    "Customer": "customer.number",
    "CompanyCode": "company.code",
    "DunningArea": always(""),
    "DunningBlock": "dunning_block",
    "DunningLevel": "dunning_level",
    "DunningProcedure": "dunning_procedure",
    "LastDunnedOn": "last_dunned",
}
COMPANY: dict[str, str | Column] = {
    "CompanyCode": "code",
    "CompanyCodeName": "name",
    "CityName": "city",
    "Country": "country",
    "Currency": "currency",
    "Language": "language",
    "ChartOfAccounts": always("YCOA"),
    "FiscalYearVariant": always("K4"),
    "VATRegistration": "vat",
}
LINE: dict[str, str | Column] = {
    "ID": lambda _line: f"generated-{next(_generated)}",
    "Ledger": always("0L"),
    "CompanyCode": "document.company.code",
    "ChartOfAccounts": always("YCOA"),
    "GLAccount": "account",
    "FiscalYear": "document.year",
    "AccountingDocument": "document.number",
    "LedgerGLLineItem": lambda line: f"{line.number:06d}",
    "AccountingDocumentType": "document.kind",
    "FinancialAccountType": "account_type",
    "SpecialGLCode": "special_gl",
    "Customer": "customer",
    "PostingDate": "document.posting_date",
    "DocumentDate": "document.document_date",
    "ClearingDate": _cleared("day", None),
    "ClearingAccountingDocument": _cleared("document", ""),
    "DebitCreditCode": "debit_credit",
    "TransactionCurrency": DOCUMENT_CURRENCY,
    "AmountInTransactionCurrency": "amount",
    "CompanyCodeCurrency": COMPANY_CURRENCY,
    "AmountInCompanyCodeCurrency": "company_amount",
}
BALANCE: dict[str, str | Column] = {
    "ID": lambda _balance: f"generated-{next(_generated)}",
    "Ledger": always("0L"),
    "CompanyCode": "company.code",
    "ChartOfAccounts": always("YCOA"),
    "GLAccount": "account",
    "CompanyCodeCurrency": "company.currency",
    "StartingBalanceAmtInCoCodeCrcy": "starting",
    "DebitAmountInCoCodeCrcy": "debit",
    "CreditAmountInCoCodeCrcy": "credit",
    "EndingBalanceAmtInCoCodeCrcy": "ending",
}


@dataclass(frozen=True)
class EntitySet:
    """One entity set: its declaration, its columns, and the rows that a view of the books shows.

    `rows` is told which values of the key's first property are asked for (None: all) and may give more.
    """

    type: edmx.EntityType
    columns: Mapping[str, Column]
    rows: Rows


def _all(rows: Callable[[View], Sequence[Any]]) -> Rows:
    """Give all rows, whichever are asked for."""
    return lambda view, _keys: rows(view)


def _accounts(view: View) -> list[Account]:
    return [
        account
        for customer in view.customers()
        for account in customer.accounts.values()
        if view.shows_company(account.company.code)
    ]


def _tax_numbers(view: View) -> list[Any]:
    return [(customer, *number) for customer in view.customers() for number in customer.tax_numbers]


SOURCES: dict[str, tuple[dict[str, str | Column], Rows]] = {
    "A_OperationalAcctgDocItemCube": (ITEM, _all(View.items)),
    "A_BillingDocument": (sales.BILLING, View.billings),
    "A_BillingDocumentItem": (sales.ITEM, sales.items),
    "A_BillingDocumentItemPrcgElmnt": (sales.ELEMENT, sales.elements),
    "A_Customer": (CUSTOMER, _all(View.customers)),
    "A_CustomerCompany": (CUSTOMER_COMPANY, _all(_accounts)),
    "A_BusinessPartner": (PARTNER, _all(View.customers)),
    "A_BusinessPartnerAddress": (ADDRESS, _all(View.customers)),
    "A_AddressEmailAddress": (EMAIL, _all(lambda view: [c for c in view.customers() if c.email])),
    "A_BusinessPartnerTaxNumber": (TAX_NUMBER, _all(_tax_numbers)),
    "A_CustomerDunning": (DUNNING, _all(lambda view: [a for a in _accounts(view) if a.dunning_procedure])),
    "A_CompanyCode": (COMPANY, _all(View.companies)),
    "GLAccountLineItem": (LINE, _all(View.lines)),
}


def entity_sets() -> dict[str, dict[str, EntitySet]]:
    """Give every set that is read without parameters, by service and name.

    Raises:
        RuntimeError: the columns of a set are not the properties that its metadata declares.
    """
    found: dict[str, dict[str, EntitySet]] = {}
    for service in edmx.services():
        for name, declared in edmx.entity_types(service).items():
            if name in SOURCES:
                places, rows = SOURCES[name]
                if set(places) != set(declared.properties):
                    raise RuntimeError(f"{name}: columns and metadata differ")
                found.setdefault(service, {})[name] = EntitySet(declared, make_columns(places), rows)
    return found
