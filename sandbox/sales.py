"""The entity sets of billing documents: where every property's value comes from.

Raw forms follow the recorded billing document [F]: no change date on one that was never changed, the
accounting document not always named, nothing as the gross amount of an item. It refuses nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal

from sandbox import billing
from sandbox.billing import BilledItem, Billing, Element
from sandbox.books import ZERO
from sandbox.faults import View
from sandbox.filters import Column, always

NINE_PLACES = Decimal("0.000000001")


def _of_first_item(attribute: str) -> Column:
    """Take what the first customer item of a billing document's accounting document says."""
    return lambda billed: getattr(billed.document.items[0], attribute)


def _is_transferred(billed: Billing) -> bool:
    """Say whether the accounting document is named; it may be missing on a posted one [F]."""
    return int(billed.number) % 3 == 0


BILLING: dict[str, str | Column] = {
    "BillingDocument": "number",
    "SDDocumentCategory": "category",
    "BillingDocumentCategory": always("L"),
    "BillingDocumentType": lambda billed: billing.TYPES[billed.category],
    "CreationDate": "document.entered",
    "CreationTime": "document.entered_time",
    "LastChangeDate": "changed",
    "LastChangeDateTime": "changed",
    "SalesOrganization": "document.company.code",
    "DistributionChannel": always("10"),
    "Division": always("00"),
    "BillingDocumentDate": "document.document_date",
    "BillingDocumentIsCancelled": "is_cancelled",
    "CancelledBillingDocument": lambda billed: "" if billed.cancels is None else billed.cancels.number,
    "TotalNetAmount": "net",
    "TransactionCurrency": "document.currency",
    "TaxAmount": "tax",
    "TotalGrossAmount": lambda billed: billed.net + billed.tax,
    "TaxDepartureCountry": "document.company.country",
    "VATRegistration": "account.customer.vat",
    "PayerParty": "payer",
    "CustomerPaymentTerms": _of_first_item("terms"),
    "PaymentMethod": _of_first_item("payment_method"),
    "PaymentReference": _of_first_item("payment_reference"),
    "CompanyCode": "document.company.code",
    "FiscalYear": lambda billed: billed.document.year if _is_transferred(billed) else "0000",
    "AccountingDocument": lambda billed: billed.document.number if _is_transferred(billed) else "",
    "DocumentReferenceID": "document.reference",
    "SoldToParty": lambda billed: billed.document.items[0].branch or billed.payer,
    "PurchaseOrderByCustomer": lambda billed: f"PO {billed.number[-5:]}",
    "Country": "account.customer.country",
    "OverallBillingStatus": always("A"),
    "AccountingPostingStatus": always("C"),
    "AccountingTransferStatus": lambda billed: "E" if billed.is_cancelled else "C",
}
ITEM: dict[str, str | Column] = {
    "BillingDocument": "billing.number",
    "BillingDocumentItem": lambda item: str(item.number),
    "SalesDocumentItemCategory": always("TAN"),
    "CreationDate": "billing.document.entered",
    "CreationTime": "billing.document.entered_time",
    "BillingDocumentItemText": lambda item: f"Trad.Good {item.number}",
    "BillingQuantity": always(Decimal(1)),
    "BillingQuantityUnit": always("PC"),
    "NetAmount": "part.net",
    "TransactionCurrency": "billing.document.currency",
    "GrossAmount": lambda item: ZERO[item.billing.document.currency],
    "PricingDate": "billing.document.document_date",
    "TaxAmount": "part.tax",
    "ProductTaxClassification1": lambda item: item.part.tax_code.code[-1],
    "ReferenceSDDocument": lambda item: f"8{item.billing.number[1:]}",
    "ReferenceSDDocumentItem": lambda item: str(item.number),
    "SalesDocument": lambda item: str(int(item.billing.number[1:])),
    "SalesDocumentItem": lambda item: str(item.number),
}
ELEMENT: dict[str, str | Column] = {
    "BillingDocument": "item.billing.number",
    "BillingDocumentItem": lambda element: str(element.item.number),
    "PricingProcedureStep": lambda element: str(element.step),
    "PricingProcedureCounter": always("1"),
    "ConditionType": "condition",
    "ConditionCalculationType": "calculation",
    "ConditionBaseValue": lambda element: element.base.quantize(NINE_PLACES),
    "ConditionRateValue": lambda element: element.rate.quantize(NINE_PLACES),
    "ConditionCurrency": "currency",
    "ConditionQuantity": lambda element: Decimal(element.quantity),
    "ConditionQuantityUnit": lambda element: "PC" if element.quantity else "",
    "ConditionCategory": "category",
    "ConditionIsForStatistics": "is_statistical",
    "TaxCode": lambda element: element.item.part.tax_code.code if element.category != "E" else "",
    "ConditionAmount": "amount",
    "TransactionCurrency": "item.billing.document.currency",
    "ConditionInactiveReason": "inactive",
    "ConditionClass": "condition_class",
}


def items(view: View, numbers: Collection[str] | None) -> list[BilledItem]:
    """Give the items of the billing documents asked for, or of all."""
    return [item for document in view.billings(numbers) for item in billing.items(document)]


def elements(view: View, numbers: Collection[str] | None) -> list[Element]:
    """Give the pricing elements of the billing documents asked for, or of all."""
    return [element for item in items(view, numbers) for element in billing.elements(item)]
