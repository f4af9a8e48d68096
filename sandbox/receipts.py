"""Receipts and clearing: the three ways to pay, advances, and clearing without a receipt.

Clearing, partial payment and residual item are the ways that the vendor's help for accounts receivable
describes [D]; posting keys and the follow-on type are [K]. It refuses a clearing that does not add up to
zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from sandbox.books import ZERO, Account, Books, Clearing, Company, Document, Item, money
from sandbox.business import RANGES, When, clear_by, customer_item, exchange_rate, header, refer
from sandbox.parties import retire

BANK = "11001000"
DOWN_PAYMENTS = "21190000"
DISCOUNT_GRANTED = "44000000"
EXCHANGE_DIFFERENCE = "71010000"


def receipt(
    books: Books,
    company: Company,
    currency: str,
    when: When,
    received: Decimal,
    *,
    lines: Sequence[Item],
    number: str = "",
) -> Document:
    """Post a receipt: bank line first, the lines given, then the exchange difference if there is one."""
    rate = exchange_rate(currency, company, when.posting)
    document = header(books, company, "DZ", when, currency, number=number, transaction="F-28")
    bank = Item(
        BANK, received, money(received * rate, company.currency), posting_key="40", value_date=when.posting
    )
    items = [bank, *lines]
    gap = sum((item.company_amount for item in items), Decimal(0))
    if gap:
        items.append(Item(EXCHANGE_DIFFERENCE, ZERO[currency], -gap, posting_key="50" if gap > 0 else "40"))
    return books.post(document, items)


def counter_item(items: Sequence[Item], when: When) -> Item:
    """Open the D item that takes the place of `items`: the opposite of their sum in both currencies."""
    first = items[0]
    amount = -sum((item.amount for item in items), Decimal(0))
    return Item(
        account=first.account,
        amount=amount,
        company_amount=-sum((item.company_amount for item in items), Decimal(0)),
        account_type="D",
        customer=first.customer,
        branch=first.branch,
        special_gl=first.special_gl,
        posting_key="15" if amount < 0 else "05",
        base_date=when.posting,
        due_date=when.posting,
    )


def payment(
    books: Books, items: Sequence[Item], when: When, *, with_discount: bool = False, number: str = ""
) -> Document:
    """Receive what `items` of one customer sum to and clear them; a discount lowers the money alone."""
    head = items[0].document
    company, currency = head.company, head.currency
    credit = counter_item(items, when)
    lines, received = [credit], -credit.amount
    if with_discount and items[0].discount_1_percent:
        percent = items[0].discount_1_percent
        discount = money(items[0].amount * percent / 100, currency)
        company_discount = money(items[0].company_amount * percent / 100, company.currency)
        items[0].discount, items[0].company_discount = discount, company_discount
        received -= discount
        lines.append(Item(DISCOUNT_GRANTED, discount, company_discount, posting_key="40"))
    document = receipt(books, company, currency, when, received, lines=lines, number=number)
    clear_by(books, document, [*items, credit], when)
    return document


def partial_payment(books: Books, item: Item, when: When, amount: Decimal, *, number: str = "") -> Document:
    """Receive a part: both stay open, the payment names the invoice with follow-on type Z [K]."""
    company, currency = item.document.company, item.document.currency
    rate = exchange_rate(currency, company, when.posting)
    part = counter_item([item], when)
    part.amount, part.company_amount = -amount, -money(amount * rate, company.currency)
    part.follow_on = "Z"
    refer(part, item)
    return receipt(books, company, currency, when, amount, lines=[part], number=number)


def payment_with_residual(
    books: Books, item: Item, when: When, rest: Decimal, *, named: bool = True
) -> Document:
    """Receive less and clear the invoice in full: the rest is a new item that names it [D] or none."""
    company, currency = item.document.company, item.document.currency
    credit = counter_item([item], when)
    residual = counter_item([item], when)
    residual.amount = rest
    residual.company_amount = money(item.company_amount * rest / item.amount, company.currency)
    residual.posting_key, residual.difference_reason = "06", "050"
    residual.due_date, residual.terms = item.due_date, item.terms
    if named:
        refer(residual, item)
    document = receipt(books, company, currency, when, item.amount - rest, lines=[credit, residual])
    clear_by(books, document, [item, credit], when)
    return document


def payment_on_account(
    books: Books, account: Account, when: When, amount: Decimal, currency: str
) -> Document:
    """Receive money that names no invoice: an open credit without a reference."""
    rate = exchange_rate(currency, account.company, when.posting)
    item = customer_item(
        account, -amount, rate, when, posting_key="15", text="Acompte reçu / Zahlung ohne Avis"
    )
    return receipt(books, account.company, currency, when, amount, lines=[item])


def clear_with_credit(books: Books, items: Sequence[Item], when: When) -> str:
    """Clear debits with credits of the same sum; the clearing document has a number and no rows."""
    company, year = items[0].document.company, str(when.posting.year)
    number = books.next_number(company, year, RANGES["AB"])
    books.clear(items, Clearing(number, year, when.posting, when.entered))
    return number


def down_payment(books: Books, account: Account, when: When, gross: Decimal, currency: str) -> Document:
    """Receive a down payment: special G/L A on a reconciliation account of its own [D, code K]."""
    rate = exchange_rate(currency, account.company, when.posting)
    item = customer_item(account, -gross, rate, when, posting_key="19", special_gl="A")
    item.account = DOWN_PAYMENTS
    return receipt(books, account.company, currency, when, gross, lines=[item])


def clear_down_payment(books: Books, advance: Item, when: When) -> Document:
    """Transfer a down payment to the trade account: it is cleared, an ordinary credit takes its place."""
    head = advance.document
    document = header(books, head.company, "AB", when, head.currency, transaction="F-39")
    transfer = counter_item([advance], when)
    credit = counter_item([transfer], when)
    transfer.posting_key = "09"
    credit.special_gl, credit.account = "", _trade_account(books, advance, head.company)
    books.post(document, [transfer, credit])
    clear_by(books, document, [advance, transfer], when)
    return document


def merge(books: Books, account: Account, into: Account, when: When) -> Document:
    """Transfer what a customer owes in a company code to another, a document per currency, and close it [K].

    Raises:
        ValueError: nothing is open on the account.
    """
    owed = [item for item in books.open_items(account.company) if item.customer == account.customer.number]
    if not owed:
        raise ValueError(f"customer {account.customer.number} owes nothing")
    documents = [
        _transfer(books, [item for item in owed if item.document.currency == currency], into, when)
        for currency in sorted({item.document.currency for item in owed})
    ]
    retire(books, account, into, when.entered)
    return documents[0]


def _transfer(books: Books, items: Sequence[Item], into: Account, when: When) -> Document:
    """Clear items and post them again on another account, each due when it was."""
    head = items[0].document
    document = header(books, head.company, "AB", when, head.currency, transaction="F-51")
    cleared, moved = [], []
    for item in items:
        counter = counter_item([item], when)
        transferred = counter_item([counter], when)
        transferred.customer, transferred.branch = into.customer.number, ""
        transferred.due_date, transferred.text = item.due_date, f"{item.customer} {item.document.number}"
        if not item.special_gl:
            transferred.account = into.reconciliation_account
        cleared += [item, counter]
        moved += [counter, transferred]
    books.post(document, moved)
    clear_by(books, document, cleared, when)
    return document


def _trade_account(books: Books, item: Item, company: Company) -> str:
    return books.customers[item.customer].accounts[company.code].reconciliation_account
