"""The books of one simulated ERP: a sub-ledger of items and a double-entry journal, written together.

The journal is the truth; the trial balance and the ledger's line items are computed from it. The items of
the sub-ledger are what the item service shows. Both are written by `Books.post`, so they agree unless a
fault says otherwise. It refuses a document whose lines do not add up to zero in both currencies and a
clearing that does not add up to zero.

Amounts are signed (debit positive) and exact in their currency. Days are calendar days without a zone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

from sandbox.moments import Moments

if TYPE_CHECKING:
    from sandbox.billing import Billing

EXPONENTS = {"EUR": 2, "USD": 2, "JPY": 0, "KWD": 3}
ZERO = {currency: Decimal(0).scaleb(-places) for currency, places in EXPONENTS.items()}


def money(value: Decimal, currency: str) -> Decimal:
    """Round half up to the currency's smallest unit."""
    return value.quantize(ZERO[currency], rounding=ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class Company:
    """One company code; its fiscal year is the calendar year (variant K4)."""

    code: str
    name: str
    city: str
    country: str
    currency: str
    language: str
    vat: str
    tax_percent: int


@dataclass(slots=True, eq=False)
class Account:
    """A customer's data in one company code."""

    customer: Customer
    company: Company
    reconciliation_account: str
    terms: str
    methods: str
    block: str = ""
    alternative_payer: str = ""
    head_office: str = ""
    clerk: str = ""
    user_at_customer: str = ""
    dunning_procedure: str = "0001"
    dunning_block: str = ""
    dunning_level: str = "0"
    last_dunned: date | None = None


@dataclass(slots=True, eq=False)
class Customer:
    """A customer and its business partner; `partner` may differ from `number`."""

    number: str
    partner: str
    group: str
    name: str
    country: str
    language: str
    street: str
    house_number: str
    postal_code: str
    city: str
    region: str
    email: str
    address: str
    uuid: str
    created: date
    created_time: str
    changed: date | None
    changed_time: str
    vat: str = ""
    tax_number_1: str = ""
    tax_number_2: str = ""
    tax_numbers: tuple[tuple[str, str], ...] = ()
    corporate_group: str = ""
    supplier: str = ""
    trading_partner: str = ""
    blocked: bool = False
    posting_blocked: bool = False
    deleted: bool = False  # marked for deletion; its data stays
    accounts: dict[str, Account] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Clearing:
    """The clearing of a group of items: document and year, its day, and the day it was entered."""

    document: str
    year: str
    day: date
    entered: date


@dataclass(frozen=True, slots=True)
class Known:
    """What was known of an item until the day of its next change: its clearing and its due date."""

    until: date
    clearing: Clearing | None
    due_date: date | None


@dataclass(slots=True, eq=False)
class Document:
    """The header of an accounting document."""

    company: Company
    year: str
    number: str
    kind: str
    posting_date: date
    document_date: date
    entered: date
    entered_time: str
    currency: str
    category: str = ""
    changed: date | None = None
    reference: str = ""
    transaction: str = "FB01"
    is_reversal: bool = False
    is_reversed: bool = False
    reverses: Document | None = None
    reversal_reason: str = ""
    undated: bool = False  # neither its day of entry nor one of change is shown
    archived: bool = False  # its items are no longer shown; the ledger keeps its lines
    items: list[Item] = field(default_factory=list)

    @property
    def customer_items(self) -> list[Item]:
        """The lines that name a customer."""
        return [item for item in self.items if item.account_type == "D"]


@dataclass(slots=True, eq=False)
class Item:
    """One line of a document in the entry view; account type D names a customer, S does not."""

    account: str
    amount: Decimal
    company_amount: Decimal
    account_type: str = "S"
    number: int = 0
    customer: str = ""
    branch: str = ""
    posting_key: str = ""
    special_gl: str = ""
    base_date: date | None = None
    due_date: date | None = None
    terms: str = ""
    net_days: int = 0
    discount_1_date: date | None = None
    discount_1_percent: Decimal = Decimal("0.000")
    discount_base: Decimal | None = None
    discount: Decimal | None = None
    company_discount: Decimal | None = None
    clearing: Clearing | None = None
    invoice_reference: str = ""
    invoice_reference_year: str = "0000"
    invoice_item_reference: str = "0"
    follow_on: str = ""
    payment_method: str = ""
    payment_block: str = ""
    payment_reference: str = ""
    difference_reason: str = ""
    dunning_level: str = "0"
    dunning_area: str = ""
    dunning_block: str = ""
    last_dunned: date | None = None
    billing_document: str = ""
    sales_document: str = ""
    assignment: str = ""
    text: str = ""
    value_date: date | None = None
    is_negative_posting: bool = False
    before: list[Known] = field(default_factory=list)
    document: Document = field(init=False)
    line: Line | None = field(default=None, init=False)

    @property
    def debit_credit(self) -> str:
        """S for a debit, H for a credit [F: recorded item]."""
        return "H" if (self.amount or self.company_amount) < 0 else "S"

    @property
    def key(self) -> tuple[str, str, str, int]:
        """Company code, fiscal year, document, item."""
        return (self.document.company.code, self.document.year, self.document.number, self.number)

    def keep(self, day: date) -> None:
        """Keep what is known, before a change that is entered on a day."""
        self.before.append(Known(day, self.clearing, self.due_date))

    def known(self, day: date) -> Known:
        """Give what was known at the end of a day."""
        now = Known(date.max, self.clearing, self.due_date)
        return next((known for known in self.before if known.until > day), now)

    @property
    def is_open(self) -> bool:
        """True for a customer's item that is posted to the ledger and not cleared."""
        return self.account_type == "D" and self.clearing is None and self.line is not None


@dataclass(slots=True, eq=False)
class Line:
    """One line of the journal."""

    document: Document
    number: int
    account: str
    account_type: str
    customer: str
    special_gl: str
    amount: Decimal
    company_amount: Decimal
    clearing: Clearing | None = None

    @property
    def debit_credit(self) -> str:
        """S for a debit, H for a credit."""
        return "H" if self.company_amount < 0 else "S"


class Unbalanced(ValueError):
    """A document or a clearing does not add up to zero."""


class Books:
    """Everything one simulated ERP knows; `version` grows with every change."""

    def __init__(self, companies: Sequence[Company], today: date) -> None:
        self.companies = {company.code: company for company in companies}
        self.today = today
        self.customers: dict[str, Customer] = {}
        self.billings: dict[str, Billing] = {}
        self.items: list[Item] = []
        self.ledger: dict[tuple[str, str], list[Line]] = defaultdict(list)
        self.moments = Moments()
        self.version = 0
        self._open: dict[str, dict[Item, None]] = {company.code: {} for company in companies}
        self._numbers: dict[tuple[str, str, str], int] = {}
        self._last_billing = 90000000
        self._by_key: dict[tuple[str, str, str, int], Item] = {}

    def next_number(self, company: Company, year: str, first: int) -> str:
        """Give the next document number of a range that starts again every year in every company code."""
        key = (company.code, year, str(first))
        number = self._numbers.get(key, first)
        self._numbers[key] = number + 1
        return str(number)

    def next_billing(self) -> str:
        """Give the number after the highest billing document."""
        return str(self._last_billing + 1)

    def bill(self, billing: Billing) -> None:
        """Keep the billing document of an accounting document that is posted."""
        self.billings[billing.number] = billing
        self._last_billing = max(self._last_billing, int(billing.number))
        self.version += 1

    def post(self, document: Document, items: Sequence[Item]) -> Document:
        """Write a balanced document into the sub-ledger and the journal.

        Raises:
            Unbalanced: the amounts do not add up to zero in the document's or the company's currency.
        """
        if sum(item.amount for item in items) or sum(item.company_amount for item in items):
            raise Unbalanced(f"document {document.kind} {document.number} does not add up to zero")
        self._enter(document, items)
        for item in items:
            line = Line(
                document,
                item.number,
                item.account,
                item.account_type,
                item.customer,
                item.special_gl,
                item.amount,
                item.company_amount,
            )
            item.line = line
            self.write(line)
            if item.is_open:
                self._open[document.company.code][item] = None
        return document

    def write(self, line: Line) -> None:
        """Write a line into the journal."""
        self.ledger[line.document.company.code, line.account].append(line)
        self._note(line, 1)

    def strike(self, line: Line) -> None:
        """Take a line out of the journal again."""
        self.ledger[line.document.company.code, line.account].remove(line)
        self._note(line, -1)

    def _note(self, line: Line, sign: int) -> None:
        cell = (line.document.company.code, line.account, line.document.currency)
        self.moments.note(cell, line.customer, sign * line.amount, sign * line.company_amount)

    def note(self, document: Document, items: Sequence[Item]) -> Document:
        """Write a noted or parked document: it is shown by the item service and not in the journal."""
        self._enter(document, items)
        return document

    def _enter(self, document: Document, items: Sequence[Item]) -> None:
        for position, item in enumerate(items, start=1):
            item.document = document
            item.number = item.number or position
            self._by_key[item.key] = item
        document.items.extend(items)
        self.items.extend(items)
        self.version += 1

    def clear(self, items: Sequence[Item], clearing: Clearing) -> None:
        """Clear a group of open items, in the sub-ledger and in the journal.

        Raises:
            Unbalanced: the group does not add up to zero on each account.
            ValueError: an item is not open.
        """
        totals: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        for item in items:
            if not item.is_open:
                raise ValueError(f"item {item.key} is not open")
            totals[item.account, item.document.currency] += item.amount
            totals[item.account, "company"] += item.company_amount
        if any(totals.values()):
            raise Unbalanced(f"clearing {clearing.document} does not add up to zero")
        # a clearing is known when the last of its documents is: some are entered late
        known = max([clearing.entered, *(item.document.entered for item in items)])
        for item in items:
            self._set_clearing(item, clearing, known)

    def reset_clearing(self, clearing: Clearing, day: date) -> list[Item]:
        """Open the items of a clearing again on a day; no date is left behind and no change date moves."""
        items = [item for item in self.items if item.clearing is clearing]
        for item in items:
            self._set_clearing(item, None, day)
        return items

    def _set_clearing(self, item: Item, clearing: Clearing | None, day: date) -> None:
        item.keep(day)
        item.clearing = clearing
        if item.line is not None:
            item.line.clearing = clearing
        open_items = self._open[item.document.company.code]
        if clearing is None:
            open_items[item] = None
        else:
            open_items.pop(item, None)
        self.version += 1

    def item(self, company_code: str, year: str, document: str, number: int) -> Item:
        """Find one item by its key; KeyError when there is none."""
        return self._by_key[company_code, year, document, number]

    def lines(self) -> Iterable[Line]:
        """Give every line of the journal, account by account."""
        for lines in self.ledger.values():
            yield from lines

    def open_items(self, company: Company | None = None) -> list[Item]:
        """Give the open items per company code, in the order they were posted or opened again."""
        codes = list(self._open) if company is None else [company.code]
        return [item for code in codes for item in self._open[code]]
