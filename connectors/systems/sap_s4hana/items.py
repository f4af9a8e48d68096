"""Accounting items of customers (A_OperationalAcctgDocItemCube) -> open items, receipts, documents, accounts.

Every customer line of a document is an open item with its own signed amount, 0 open once cleared; a credit of
a payment is a receipt instead, a debit of one the residual of a short payment: an item of a journal document.
What pays what is not stated by SAP: receivables.applying works it out. Parked, recurring, sample and noted
items are no receivables and are left out. Refuses a row whose debit/credit code contradicts its sign.
Source: interface sheet, sections 2, 4 and 5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Final, TypeVar

import msgspec

from connectors.kit.exact_json import Rows
from connectors.kit.odata_days import PrintedDays
from connectors.kit.stream import Adapted, Row
from connectors.systems.sap_s4hana.fields import Item, ItemKey
from connectors.systems.sap_s4hana.settings import Settings
from receivables.errors import Unreadable
from receivables.money import currency, exponent
from receivables.records import ControlAccount, Document, OpenItem, Receipt, Record, Swept
from receivables.values import amount, key, text_or_none

NOT_POSTED: Final = frozenset("DMSVWZ")  # categories: recurring, sample, noted, parked (three ways)
NOTED: Final = "noted"
SCALE: Final = 3  # decimals of the service's amounts; a currency with more cannot be printed by it
PARTIAL: Final = frozenset(("", "Z"))  # follow-on types of a payment that names what it pays

Shape = TypeVar("Shape", bound=ItemKey)


def canonical(printed: str, field: str) -> str:
    """A number without leading zeros when it is all digits; Unreadable when it is no key."""
    checked = key(printed, field)
    return (checked.lstrip("0") or "0") if checked.isdigit() else checked


class _Adapter:
    """What full and short items share: the page, the key, the checks that no record changes."""

    def __init__(self, settings: Settings, today: date) -> None:
        self._days = PrintedDays(today)
        self._special = settings.special_gl_kinds
        self._kinds = settings.document_kinds
        self._currencies: set[tuple[str, str]] = set()
        self._numbers: dict[str, str] = {}  # accounts and customers come again and again

    def _adapt(
        self, rows: Sequence[Row], reader: Rows[Shape], make: Callable[[Shape, list[Record]], None]
    ) -> Adapted:
        adapted = Adapted()
        records, keys = adapted.records, adapted.keys
        seen: set[bytes] = set()
        for place, raw in enumerate(rows):
            row, name = bytes(raw), b""
            try:
                item = reader.read(row)
                name = native_key(item)
                _note(name, seen)
                if item.accounting_document_category not in NOT_POSTED and (
                    not item.special_gl_code or self._special.get(item.special_gl_code) != NOTED
                ):
                    make(item, records)
            except Unreadable as error:
                error.key = name.decode() or None
                adapted.unreadable.append((row, error))
            else:
                keys.append((place, name))
        return adapted

    def _amounts(self, item: ItemKey) -> tuple[str, str]:
        """The checked amounts in document and company currency."""
        of, of_company = item.transaction_currency, item.company_code_currency
        if (of, of_company) not in self._currencies:
            _printable(of, "TransactionCurrency")
            _printable(of_company, "CompanyCodeCurrency")
            self._currencies.add((of, of_company))
        original = amount(item.amount_in_transaction_currency, of, "AmountInTransactionCurrency")
        company = amount(item.amount_in_company_code_currency, of_company, "AmountInCompanyCodeCurrency")
        negative = original[0] == "-"
        code = item.debit_credit_code
        if (code == "S" and negative) or (code == "H" and not negative and original.strip("0.")):
            raise Unreadable(
                "sign_contradiction",
                "DebitCreditCode",
                f"DebitCreditCode {code} and AmountInTransactionCurrency {original} contradict each other.",
            )
        if code not in ("S", "H"):
            raise Unreadable("debit_credit_code", "DebitCreditCode", "DebitCreditCode is neither S nor H.")
        return original, company

    def _number(self, printed: str, field: str) -> str:
        known = self._numbers.get(printed)
        if known is None:
            known = self._numbers[printed] = canonical(printed, field)
        return known


class Items(_Adapter):
    """Adapts full items."""

    def __init__(self, settings: Settings, today: date) -> None:
        super().__init__(settings, today)
        self._reader = Rows(Item)
        self._credits_pay = settings.credit_reference_allocates
        self._accounts: set[tuple[str, str]] = set()
        self._document: tuple[str, str, str] | None = None

    def __call__(self, rows: Sequence[Row]) -> Adapted:
        """Open items, and with the first item of a document and of an account those as well."""
        self._accounts.clear()
        self._document = None
        return self._adapt(rows, self._reader, self._make)

    def _make(self, item: Item, records: list[Record]) -> None:
        kind = self._kinds.get(item.accounting_document_type, "journal")
        made = self._receipt(item) if kind == "receipt" and _is_credit(item) else self._open_item(item)
        if (made.entity, made.account) not in self._accounts:
            self._accounts.add((made.entity, made.account))
            of = self._special.get(item.special_gl_code, "special") if item.special_gl_code else "trade"
            records.append(ControlAccount(made.entity, made.account, of))
        if isinstance(made, OpenItem):
            document = (made.entity, made.fiscal_year, made.number)
            if document != self._document:
                records.append(self._header(item, made, self._document_kind(item, made, kind)))
                self._document = document
            if (
                self._credits_pay
                and made.related
                and _is_credit(item)
                and self._document_kind(item, made, kind) == "credit_note"
            ):
                made = msgspec.structs.replace(made, pays=made.related)
        records.append(made)

    def _open_item(self, item: Item) -> OpenItem:
        original, company = self._amounts(item)
        cleared_on, clearing = self._clearing(item)
        discount, company_discount = self._discount(item) if clearing else (None, None)
        level = item.dunning_level
        return OpenItem(
            canonical(item.accounting_document, "AccountingDocument"),
            key(item.company_code, "CompanyCode"),
            key(item.fiscal_year, "FiscalYear"),
            canonical(item.accounting_document_item, "AccountingDocumentItem"),
            self._number(item.gl_account, "GLAccount"),
            self._number(item.customer, "Customer"),
            item.transaction_currency,
            original,
            "0" if clearing else original,
            item.company_code_currency,
            company,
            "0" if clearing else company,
            self._days(item.posting_date, "PostingDate"),
            self._days.or_none(item.net_due_date, "NetDueDate"),
            cleared_on,
            text_or_none(item.payment_method, "PaymentMethod"),
            text_or_none(item.payment_reference, "PaymentReference"),
            text_or_none(item.payment_blocking_reason, "PaymentBlockingReason"),
            text_or_none(level, "DunningLevel") if level != "0" else None,
            text_or_none(item.dunning_blocking_reason, "DunningBlockingReason"),
            clearing,
            text_or_none(item.assignment_reference, "AssignmentReference"),
            text_or_none(item.document_item_text, "DocumentItemText"),
            _related(item),
            discount,
            company_discount,
        )

    def _receipt(self, item: Item) -> Receipt:
        """A credit of a payment, as a positive amount; it pays what it names (partial payment)."""
        original, company = self._amounts(item)
        amount_, company_amount = _opposite(original), _opposite(company)
        self._days.or_none(item.net_due_date, "NetDueDate")  # not kept; a wrong day says the row is damaged
        cleared_on, clearing = self._clearing(item)
        return Receipt(
            canonical(item.accounting_document, "AccountingDocument"),
            key(item.company_code, "CompanyCode"),
            key(item.fiscal_year, "FiscalYear"),
            canonical(item.accounting_document_item, "AccountingDocumentItem"),
            self._number(item.gl_account, "GLAccount"),
            self._number(item.customer, "Customer"),
            item.accounting_document,
            item.transaction_currency,
            amount_,
            "0" if clearing else amount_,
            item.company_code_currency,
            company_amount,
            "0" if clearing else company_amount,
            self._days(item.posting_date, "PostingDate"),
            self._days.or_none(item.value_date, "ValueDate"),
            "reversed" if item.is_reversed else "received",
            cleared_on,
            clearing,
            None,
            text_or_none(item.payment_method, "PaymentMethod"),
            text_or_none(item.document_reference_id, "DocumentReferenceID"),
            text_or_none(item.document_item_text, "DocumentItemText"),
            _related(item) if (item.follow_on_document_type or "") in PARTIAL else None,
        )

    def _clearing(self, item: Item) -> tuple[str | None, str | None]:
        """Day and number/fiscal_year of the clearing."""
        clears = item.clearing_accounting_document
        if not clears:
            return None, None
        cleared_on = self._days(item.clearing_date, "ClearingDate")
        year = key(item.clearing_doc_fiscal_year, "ClearingDocFiscalYear")
        return cleared_on, f"{canonical(clears, 'ClearingAccountingDocument')}/{year}"

    def _discount(self, item: Item) -> tuple[str | None, str | None]:
        """The cash discount granted, positive whatever its sign: the sheet has no proof of it."""
        printed = item.cash_discount_amount
        if not printed or not printed.strip("-0."):
            return None, None
        granted = amount(printed, item.transaction_currency, "CashDiscountAmount")
        company = amount(
            item.cash_discount_amt_in_co_code_crcy or "0",
            item.company_code_currency,
            "CashDiscountAmtInCoCodeCrcy",
        )
        return granted.lstrip("-"), company.lstrip("-")

    def _document_kind(self, item: Item, made: OpenItem, kind: str) -> str:
        """The kind by type and sign; a reversing document has that of the one it reverses."""
        if kind == "receipt":
            return "journal"  # the residual of a short payment, or a payment taken back
        if item.special_gl_code and self._special.get(item.special_gl_code) == "advances":
            return "advance"
        credit = (made.original[0] == "-") is not bool(item.is_reversal)
        if credit and kind == "invoice":
            return "credit_note"
        if not credit and kind == "credit_note":
            return "debit_note"
        return kind

    def _header(self, item: Item, made: OpenItem, kind: str) -> Document:
        reversal_of = None
        if item.is_reversal and item.reverse_document:
            reversed_number = canonical(item.reverse_document, "ReverseDocument")
            year = key(item.reverse_document_fiscal_year, "ReverseDocumentFiscalYear")
            reversal_of = f"{reversed_number}/{year}"
        return Document(
            made.number,
            made.entity,
            made.fiscal_year,
            key(item.accounting_document_type, "AccountingDocumentType"),
            kind,
            item.accounting_document,
            made.customer,
            "reversed" if item.is_reversed else "posted",
            made.currency,
            self._days.or_none(item.document_date, "DocumentDate"),
            made.posted_on,
            reversal_of,
            canonical(item.billing_document, "BillingDocument") if item.billing_document else None,
            text_or_none(item.document_reference_id, "DocumentReferenceID"),
            made.related,
        )


class ShortItems(_Adapter):
    """Adapts the sweep's short items: their keys and what may change without a trace."""

    def __init__(self, settings: Settings, today: date) -> None:
        super().__init__(settings, today)
        self._reader = Rows(ItemKey)

    def __call__(self, rows: Sequence[Row]) -> Adapted:
        """One Swept an item."""
        return self._adapt(rows, self._reader, self._make)

    def _make(self, item: ItemKey, records: list[Record]) -> None:
        original, company = self._amounts(item)
        level = item.dunning_level
        records.append(
            Swept(
                canonical(item.accounting_document, "AccountingDocument"),
                key(item.company_code, "CompanyCode"),
                key(item.fiscal_year, "FiscalYear"),
                canonical(item.accounting_document_item, "AccountingDocumentItem"),
                self._number(item.gl_account, "GLAccount"),
                self._number(item.customer, "Customer"),
                item.transaction_currency,
                original,
                company,
                self._days.or_none(item.net_due_date, "NetDueDate"),
                text_or_none(level, "DunningLevel") if level != "0" else None,
            )
        )


def _is_credit(item: ItemKey) -> bool:
    return item.debit_credit_code == "H"


def _opposite(amount_: str) -> str:
    """The amount with the other sign; zero has none."""
    if amount_[0] == "-":
        return amount_[1:]
    return f"-{amount_}" if amount_.strip("0.") else amount_


def _related(item: Item) -> str | None:
    """Number/fiscal_year/item of the item that this one names."""
    refers = item.invoice_reference
    if not refers or len(refers) == 1:  # one letter (V) is a rule for the due date, not a number
        return None
    number = canonical(refers, "InvoiceReference")
    year = key(item.invoice_reference_fiscal_year, "InvoiceReferenceFiscalYear")
    place = canonical(item.invoice_item_reference or "", "InvoiceItemReference")
    return f"{number}/{year}/{place}"


def _printable(code: str, field: str) -> str:
    """The currency, if the service can print its amounts exactly."""
    if exponent(currency(code, field)) > SCALE:
        raise Unreadable(
            "currency_scale", field, f"{field} {code} has more decimals than the service prints."
        )
    return code


def _note(name: bytes, seen: set[bytes]) -> None:
    if name in seen:
        raise Unreadable("key_twice", "AccountingDocumentItem", f"Item {name.decode()} is twice on a page.")
    seen.add(name)


def native_key(item: ItemKey) -> bytes:
    """The service's own key of an item, as printed."""
    return (
        f"{item.company_code}/{item.fiscal_year}/{item.accounting_document}/{item.accounting_document_item}"
    ).encode()
