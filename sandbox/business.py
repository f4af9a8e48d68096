"""Business transactions: invoices, credit memos, cancellations, noted and parked documents, dunning.

Each function writes one transaction through `Books.post` or `Books.note` and gives back its document; one of
type RV has a billing document.
Document types, posting keys and account numbers are customary ones [K]; receipts are in `sandbox.receipts`.
It refuses what an ERP refuses: reversing what is already cleared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from sandbox.billing import CANCELLATIONS, CREDIT_MEMO, INVOICE, Billing, Part, TaxCode, divide
from sandbox.books import Account, Books, Clearing, Company, Customer, Document, Item, money

TRADE = "12100000"
TRADE_FOREIGN = "12120000"
REVENUE = "41000000"
OUTPUT_TAX = "22000000"

# first number of each document type's range; every range starts again in every year and company code
RANGES = {
    "RV": 1800000000,
    "DR": 1850000000,
    "DG": 1600000000,
    "DZ": 1400000000,
    "AB": 100000000,
    "SA": 150000000,
}
EURO_VALUE = {"EUR": Decimal(1), "USD": Decimal("0.92"), "JPY": Decimal("0.0061"), "KWD": Decimal("3.01")}


@dataclass(frozen=True, slots=True)
class Terms:
    """Terms of payment: net days, and one cash discount."""

    net_days: int
    discount_days: int = 0
    discount_percent: Decimal = Decimal("0.000")


TERMS = {
    "0001": Terms(0),
    "0002": Terms(30, 14, Decimal("2.000")),
    "0003": Terms(45),
    "0004": Terms(60, 10, Decimal("3.000")),
    "0009": Terms(30),  # paid in instalments, one every 30 days
}


@dataclass(frozen=True, slots=True)
class When:
    """The day of posting, the day and the time of entry (`PT14H05M00S`)."""

    posting: date
    entered: date
    time: str = "PT09H30M00S"


def exchange_rate(currency: str, company: Company, day: date) -> Decimal:
    """Give the value of one unit of `currency` in the company's currency; it moves every 30 days."""
    if currency == company.currency:
        return Decimal(1)
    drift = Decimal(day.toordinal() // 30 % 7 - 3) / 100
    return EURO_VALUE[currency] / EURO_VALUE[company.currency] * (1 + drift)


def header(
    books: Books,
    company: Company,
    kind: str,
    when: When,
    currency: str,
    *,
    number: str = "",
    category: str = "",
    reference: str = "",
    transaction: str = "FB01",
    reversal_reason: str = "",
) -> Document:
    """Open a document with the next number of its type, or with a number given."""
    year = str(when.posting.year)
    number = number or books.next_number(company, year, RANGES[kind])
    return Document(
        company=company,
        year=year,
        number=number,
        kind=kind,
        posting_date=when.posting,
        document_date=when.posting,
        entered=when.entered,
        entered_time=when.time,
        currency=currency,
        category=category,
        reference=reference,
        transaction=transaction,
        reversal_reason=reversal_reason,
    )


def customer_item(account: Account, amount: Decimal, rate: Decimal, when: When, **more: object) -> Item:
    """Open a D item on the customer that owes: the head office when the customer is a branch."""
    customer, branch = account.customer.number, ""
    if account.head_office:
        customer, branch = account.head_office, customer
    item = Item(
        account=account.reconciliation_account,
        amount=amount,
        company_amount=money(amount * rate, account.company.currency),
        account_type="D",
        customer=customer,
        branch=branch,
        base_date=when.posting,
        due_date=when.posting,
    )
    for name, value in more.items():
        setattr(item, name, value)
    return item


def _sales_lines(items: Sequence[Item], parts: Sequence[Part], rate: Decimal, company: Company) -> list[Item]:
    """Balance customer items by revenue and a line per tax code, to the last unit in both currencies."""
    gross = sum((item.amount for item in items), Decimal(0))
    company_gross = sum((item.company_amount for item in items), Decimal(0))
    sign, key = (-1, "50") if gross > 0 else (1, "40")
    taxes: dict[TaxCode, Decimal] = defaultdict(Decimal)
    for part in parts:
        taxes[part.tax_code] += sign * part.tax
    lines = [
        Item(OUTPUT_TAX, tax, money(tax * rate, company.currency), posting_key=key)
        for tax in taxes.values()
        if tax
    ]
    net = -gross - sum((line.amount for line in lines), Decimal(0))
    company_net = -company_gross - sum((line.company_amount for line in lines), Decimal(0))
    return [Item(REVENUE, net, company_net, posting_key=key), *lines]


def _reference(billing_document: str) -> str:
    """Print the billing document as a reference, with its leading zeros [F: recorded billing document]."""
    return billing_document and billing_document.zfill(10)


def invoice(
    books: Books,
    account: Account,
    when: When,
    gross: Decimal,
    currency: str,
    *,
    kind: str = "RV",
    instalments: int = 1,
    billing_document: str = "",
    number: str = "",
    text: str = "",
) -> Document:
    """Post an invoice; each instalment is a D item of its own [K], due 30 days after the one before."""
    company, terms = account.company, TERMS["0009" if instalments > 1 else account.terms]
    if kind == "RV":
        billing_document = billing_document or books.next_billing()
    document = header(
        books, company, kind, when, currency, number=number, reference=_reference(billing_document),
        transaction="VF01" if kind == "RV" else "FB70",
    )  # fmt: skip
    rate = exchange_rate(currency, company, when.posting)
    part = money(gross / instalments, currency)
    items = []
    for n in range(instalments):
        amount = part if n < instalments - 1 else gross - part * (instalments - 1)
        item = customer_item(account, amount, rate, when, posting_key="01", text=text)
        item.terms, item.net_days = "0009" if instalments > 1 else account.terms, terms.net_days
        item.due_date = when.posting + timedelta(days=terms.net_days * (n + 1))
        if terms.discount_days and instalments == 1:
            item.discount_1_date = when.posting + timedelta(days=terms.discount_days)
            item.discount_1_percent = terms.discount_percent
            item.discount_base = amount
        item.payment_method, item.payment_block = account.methods[:1], account.block
        item.payment_reference = f"{company.code}{document.number}"
        item.billing_document = billing_document
        item.assignment = when.posting.strftime("%Y%m%d")
        items.append(item)
    parts = divide(account, gross, currency, billing_document or document.number)
    books.post(document, [*items, *_sales_lines(items, parts, rate, company)])
    if kind == "RV":
        books.bill(Billing(billing_document, INVOICE, document, account, parts))
    return document


def credit_memo(
    books: Books,
    account: Account,
    when: When,
    gross: Decimal,
    currency: str,
    *,
    kind: str = "DG",
    of: Item | None = None,
    reference: str = "",
    billing_document: str = "",
    number: str = "",
) -> Document:
    """Post a credit memo: a negative item; it may name its invoice, or V: due like an invoice [D]."""
    company = account.company
    if kind == "RV":
        billing_document = billing_document or books.next_billing()
    document = header(
        books, company, kind, when, currency, number=number, reference=_reference(billing_document),
        transaction="VF01" if kind == "RV" else "FB75",
    )  # fmt: skip
    rate = exchange_rate(currency, company, when.posting)
    item = customer_item(account, -gross, rate, when, posting_key="11", billing_document=billing_document)
    item.invoice_reference = reference
    if of is not None:
        refer(item, of)
    parts = divide(account, gross, currency, billing_document or document.number)
    books.post(document, [item, *_sales_lines([item], parts, rate, company)])
    if kind == "RV":
        books.bill(Billing(billing_document, CREDIT_MEMO, document, account, parts))
    return document


def refer(item: Item, to: Item) -> None:
    """Let an item name another as its invoice."""
    item.invoice_reference = to.document.number
    item.invoice_reference_year = to.document.year
    item.invoice_item_reference = str(to.number)


def clear_by(books: Books, document: Document, items: Sequence[Item], when: When) -> None:
    """Clear items under the number of a document of the same day."""
    books.clear(items, Clearing(document.number, document.year, when.posting, when.entered))


def billing_of(books: Books, document: Document) -> Billing | None:
    """Give the billing document of an accounting document."""
    return books.billings.get(document.items[0].billing_document)


def reversal(
    books: Books, document: Document, when: When, *, negative_posting: bool = False, number: str = ""
) -> Document:
    """Reverse a document whose customer items are open: both name and clear each other [K].

    A billed one is reversed by cancelling its billing document [D: SAP Note 1259505].

    Raises:
        ValueError: a customer item of the document is not open, or its billing document is cancelled.
    """
    if any(item.clearing for item in document.customer_items):
        raise ValueError(f"document {document.number} has cleared items")
    reversing = _opposite(
        books, document, when, negative_posting=negative_posting, number=number, transaction="FB08"
    )
    reversing.is_reversal, reversing.reverses, reversing.reversal_reason = True, document, "01"
    document.is_reversed, document.reverses = True, reversing
    document.changed = when.entered
    clear_by(books, reversing, [*document.customer_items, *reversing.customer_items], when)
    return reversing


def cancellation(books: Books, document: Document, when: When) -> Document:
    """Cancel a billing document: an ordinary opposite document that names and clears nothing [K].

    Raises:
        ValueError: the document has no billing document, or it is cancelled already.
    """
    if billing_of(books, document) is None:
        raise ValueError(f"document {document.number} has no billing document")
    return _opposite(books, document, when)


def _opposite(
    books: Books,
    document: Document,
    when: When,
    *,
    negative_posting: bool = False,
    number: str = "",
    transaction: str = "",
) -> Document:
    """Post a document's opposite, and the cancellation of its billing document if it has one."""
    billing = billing_of(books, document)
    if billing is not None and (billing.is_cancelled or billing.cancels):
        raise ValueError(f"billing document {billing.number} cannot be cancelled")
    cancelling = "" if billing is None else books.next_billing()
    opposite = header(
        books, document.company, document.kind, when, document.currency, number=number,
        reference=_reference(cancelling), transaction="VF11" if billing else transaction,
    )  # fmt: skip
    items = [
        _opposite_item(item, when, cancelling, negative_posting=negative_posting) for item in document.items
    ]
    books.post(opposite, items)
    if billing is not None:
        category = CANCELLATIONS[billing.category]
        books.bill(Billing(cancelling, category, opposite, billing.account, billing.parts, cancels=billing))
        billing.is_cancelled, billing.changed = True, when.entered
    return opposite


def _opposite_item(item: Item, when: When, billing_document: str, *, negative_posting: bool) -> Item:
    keys = {"01": "11", "11": "01", "40": "50", "50": "40"}
    opposite = Item(
        account=item.account,
        amount=-item.amount,
        company_amount=-item.company_amount,
        account_type=item.account_type,
        number=item.number,
        customer=item.customer,
        branch=item.branch,
        special_gl=item.special_gl,
        posting_key=keys.get(item.posting_key, item.posting_key),
        billing_document=billing_document if item.account_type == "D" else "",
        is_negative_posting=negative_posting,
    )
    if item.account_type == "D":
        opposite.base_date = opposite.due_date = when.posting
    return opposite


def down_payment_request(
    books: Books, account: Account, when: When, gross: Decimal, currency: str
) -> Document:
    """Note a down payment request: special G/L F, category S; it does not update the ledger [D]."""
    document = header(books, account.company, "DZ", when, currency, category="S", transaction="F-37")
    rate = exchange_rate(currency, account.company, when.posting)
    item = customer_item(account, gross, rate, when, posting_key="09", special_gl="F")
    return books.note(document, [item])


def parked_invoice(books: Books, account: Account, when: When, gross: Decimal, currency: str) -> Document:
    """Park an invoice, category V [K]: shown by the item service, not posted to the ledger."""
    document = header(books, account.company, "DR", when, currency, category="V", transaction="FV70")
    rate = exchange_rate(currency, account.company, when.posting)
    return books.note(document, [customer_item(account, gross, rate, when, posting_key="01")])


def change_due_date(books: Books, item: Item, due: date, entered: date) -> None:
    """Move a due date by hand; the document's change date moves with it."""
    item.keep(entered)
    item.due_date = due
    item.document.changed = entered
    books.version += 1


def dun(books: Books, items: Sequence[Item], day: date) -> None:
    """Raise the dunning level of items; no change date moves (not proven either way [K], the harder case)."""
    for item in items:
        item.dunning_level = str(min(int(item.dunning_level) + 1, 4))
        item.last_dunned, item.dunning_area = day, "01"
    books.version += 1


def rename(books: Books, customer: Customer, name: str, day: date) -> None:
    """Change the name of a business partner; its change date moves."""
    customer.name, customer.changed, customer.changed_time = name, day, "PT16H05M00S"
    books.version += 1


def block(books: Books, customer: Customer, day: date, *, blocked: bool = True) -> None:
    """Block a business partner, whose data the services no longer show [D, sister views], or release it."""
    customer.blocked, customer.changed = blocked, day
    books.version += 1
