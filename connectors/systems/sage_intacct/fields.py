"""The objects that are read and their fields: what must be offered, and what is taken where it is.

Objects differ by company and subscription: `lookup` tells what is there. Source: interface sheet, section 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Object:
    """One object of Intacct: its required and optional fields."""

    name: str
    required: Sequence[str]
    optional: Sequence[str] = ()

    @property
    def fields(self) -> tuple[str, ...]:
        """All fields that are read where they are offered."""
        return (*self.required, *self.optional)


_HEAD: Final = ("RECORDNO", "RECORDID", "STATE", "CUSTOMERID", "WHENCREATED", "WHENMODIFIED")
_AMOUNTS: Final = ("TRX_TOTALENTERED", "TRX_TOTALDUE", "TOTALENTERED", "TOTALDUE")
_MORE: Final = (
    *("RECORDTYPE", "WHENPOSTED", "WHENPAID", "DOCNUMBER", "DESCRIPTION", "CURRENCY", "BASECURR"),
    *("EXCHANGE_RATE", "MODULEKEY", "MEGAENTITYID"),
)
INVOICE: Final = Object("ARINVOICE", (*_HEAD, *_AMOUNTS, "WHENDUE"), (*_MORE, "TERMNAME", "DUNNINGCOUNT"))
ADJUSTMENT: Final = Object("ARADJUSTMENT", (*_HEAD, *_AMOUNTS), _MORE)
_LINE: Final = ("RECORDNO", "RECORDKEY", "OFFSETGLACCOUNTNO", "TRX_AMOUNT", "AMOUNT")
INVOICE_LINE: Final = Object("ARINVOICEITEM", _LINE, ("TRX_TOTALPAID", "TOTALPAID"))
ADJUSTMENT_LINE: Final = Object("ARADJUSTMENTITEM", _LINE, ("TRX_TOTALPAID", "TOTALPAID"))
LINES: Final = {INVOICE.name: INVOICE_LINE, ADJUSTMENT.name: ADJUSTMENT_LINE}

_RECEIPT: Final = ("RECORDNO", "STATE", "CUSTOMERID", "RECEIPTDATE", "WHENMODIFIED", *_AMOUNTS)
_RECEIPT_MORE: Final = (
    *("RECORDTYPE", "RECORDID", "DOCNUMBER", "PAYMENTMETHOD", "CURRENCY", "BASECURR", "EXCHANGE_RATE"),
    *("WHENPAID", "PAYMENTDATE", "CLRDATE", "CUSTOMERNAME", "PAYERNAME", "FINANCIALENTITY", "DESCRIPTION"),
    *("PARENTPAYMENTKEY", "MULTIENTITYPYMTKEY", "MEGAENTITYID"),
)
PAYMENT: Final = Object("ARPYMT", _RECEIPT, _RECEIPT_MORE)
ADVANCE: Final = Object("ARADVANCE", _RECEIPT, _RECEIPT_MORE)
DETAIL: Final = Object(
    "ARPYMTDETAIL",
    ("RECORDNO", "PAYMENTKEY", "RECORDKEY", "TRX_PAYMENTAMOUNT", "PAYMENTDATE", "WHENMODIFIED"),
    (
        *(
            "ENTRYKEY",
            "POSADJKEY",
            "POSADJENTRYKEY",
            "CURRENCY",
            "STATE",
            "PARENTPAYMENTKEY",
            "PAYMENTAMOUNT",
        ),
        *("ADJUSTMENTKEY", "ADJUSTMENTAMOUNT", "TRX_ADJUSTMENTAMOUNT"),
        *("INLINEKEY", "INLINEAMOUNT", "TRX_INLINEAMOUNT"),
        *("ADVANCEKEY", "POSTEDADVANCEKEY", "POSTEDADVANCEAMOUNT", "TRX_POSTEDADVANCEAMOUNT"),
        *("OVERPAYMENTKEY", "POSTEDOVERPAYMENTKEY", "POSTEDOVERPAYMENTAMOUNT"),
        *("TRX_POSTEDOVERPAYMENTAMOUNT", "NEGATIVEINVOICEKEY", "NEGATIVEINVOICEAMOUNT"),
        *("TRX_NEGATIVEINVOICEAMOUNT", "DISCOUNTAMOUNT", "TRX_DISCOUNTAMOUNT"),
    ),
)
# What an allocation needs to know of the document that it pays.
_TARGET: Final = ("CURRENCY", "BASECURR", "MEGAENTITYID", "WHENPOSTED")
PAID_INVOICE: Final = Object("ARINVOICE", ("RECORDNO", "WHENCREATED"), _TARGET)
PAID_ADJUSTMENT: Final = Object("ARADJUSTMENT", ("RECORDNO", "WHENCREATED"), _TARGET)
# What an allocation in a foreign currency needs to know of what pays: its own worth in both currencies.
_WORTH: Final = ("CURRENCY", "BASECURR", "TRX_TOTALENTERED", "TOTALENTERED")
PAYING_RECEIPT: Final = Object("ARPYMT", ("RECORDNO",), _WORTH)
PAYING_ADVANCE: Final = Object("ARADVANCE", ("RECORDNO",), _WORTH)
PAYING_INVOICE: Final = Object("ARINVOICE", ("RECORDNO",), _WORTH)
PAYING_ADJUSTMENT: Final = Object("ARADJUSTMENT", ("RECORDNO",), _WORTH)
CUSTOMER: Final = Object(
    "CUSTOMER",
    ("RECORDNO", "CUSTOMERID", "NAME", "WHENMODIFIED"),
    (
        *("STATUS", "PARENTID", "TERMNAME", "TAXID", "ONHOLD", "CURRENCY", "ARACCOUNT", "OFFSETGLACCOUNTNO"),
        *("DISPLAYCONTACT.EMAIL1", "DISPLAYCONTACT.MAILADDRESS.COUNTRYCODE"),
    ),
)
TERM: Final = Object("ARTERM", ("RECORDNO", "NAME"), ("DESCRIPTION", "DUEDATE", "DUEFROM", "WHENMODIFIED"))
ENTITY: Final = Object("LOCATIONENTITY", ("RECORDNO", "LOCATIONID", "NAME"), ("CURRENCY", "TAXID"))
LEDGER_DETAIL: Final = Object(
    "GLDETAIL",
    ("RECORDNO", "ACCOUNTNO", "AMOUNT", "TR_TYPE", "ENTRY_DATE"),
    ("LOCATIONID", "CUSTOMERID", "RECORDID", "SYMBOL", "DESCRIPTION"),
)
DELETION: Final = Object("AUDITHISTORY", ("ID", "OBJECTTYPE", "OBJECTKEY", "ACCESSMODE", "ACCESSTIME"))
