"""The transactions that a reader of Intacct must know: each leaves something of its kind open or behind.

Every case is a function of the history, an entity and a moment. It refuses nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sandbox.intacct.books import INVOICE, RECEIVABLES, Entity, Record, Source, money
from sandbox.intacct.business import (
    SALES_RETURNS,
    Account,
    Part,
    When,
    account_of,
    adjustment,
    control_account,
    delete,
    invoice,
)
from sandbox.intacct.receipts import (
    Application,
    advance,
    applied,
    draft_payment,
    pay,
    reverse_payment,
    waterfall,
)

if TYPE_CHECKING:
    from sandbox.intacct.history import History

Case = Callable[["History", Entity, When], Any]


def debit_memo(history: History, entity: Entity, when: When) -> None:
    """A debit memo; every second one is paid in part by cash."""
    amount, currency = history.draw_amount(entity)
    customer = history.customer(entity)
    parts = history.parts(amount, currency, control_account(customer))
    memo = adjustment(history.books, Account(entity, customer, currency), when, parts)
    if history.rng.random() < 0.5:
        pay(history.books, customer, when, waterfall(memo, history.share(memo, "0.3")))


def credit_memo(history: History, entity: Entity, when: When) -> None:
    """A credit memo that nobody has applied."""
    amount, currency = history.draw_amount(entity)
    customer = history.customer(entity)
    part = Part(-amount, control_account(customer), SALES_RETURNS)
    adjustment(history.books, Account(entity, customer, currency), when, [part])


def credit_on_debit_memo(history: History, entity: Entity, when: When) -> None:
    """A credit memo applied in part to a debit memo, without cash."""
    amount, currency = history.draw_amount(entity)
    customer = history.customer(entity)
    control = control_account(customer)
    debit = adjustment(history.books, Account(entity, customer, currency), when, [Part(amount, control)])
    credit = adjustment(
        history.books, Account(entity, customer, currency), when, [Part(-amount, control, SALES_RETURNS)]
    )
    found = applied("ADJUSTMENT", credit, debit, history.share(debit, "0.6"))
    pay(history.books, customer, when, found)


def order_entry_credit(history: History, entity: Entity, when: When) -> None:
    """A credit memo of Order Entry: an ARINVOICE with negative amounts and a due date [F]."""
    record = history.bill(entity, when)
    amount = history.share(record, "0.4")
    part = Part(-amount, record.entries[0].control, SALES_RETURNS)
    credit = invoice(
        history.books, account_of(record), when, [part], module="8.SO",
        number=f"Credit Memo-CM{history.books.number('record'):06d}",
    )  # fmt: skip
    if history.rng.random() < 0.5:
        half = money(amount / 2, record.currency)
        pay(history.books, record.customer, when, applied("NEGATIVEINVOICE", credit, record, half))


def cash_and_credit(history: History, entity: Entity, when: When) -> None:
    """One detail with two sources: cash and a credit memo on the same line."""
    record = history.bill(entity, when)
    entry = record.entries[0]
    part = history.share(record, "0.1")
    if part * 2 > entry.open:
        return
    memo = adjustment(history.books, account_of(record), when, [Part(-part, entry.control, SALES_RETURNS)])
    sources = (Source("PAYMENT", part), Source("ADJUSTMENT", part, entry=memo.entries[0]))
    pay(history.books, record.customer, when, [Application(entry, sources)])


def partly_paid(history: History, entity: Entity, when: When) -> None:
    """A partial payment over the lines of an invoice."""
    record = history.bill(entity, when)
    pay(history.books, record.customer, when, waterfall(record, history.share(record, "0.4")))


def overpaid(history: History, entity: Entity, when: When) -> None:
    """A receipt above its invoice; sometimes the rest is used for another invoice of the customer."""
    record = history.bill(entity, when)
    customer = record.customer
    if customer is None or customer.account:
        return
    over = history.share(record, "0.2")
    receipt = pay(history.books, customer, when, waterfall(record, record.open), overpaid=over)
    if history.rng.random() < 0.5:
        part = Part(money(over / 2, record.currency) or over, RECEIVABLES)
        other = invoice(history.books, Account(entity, customer, record.currency), when, [part])
        found = applied("POSTEDOVERPAYMENT", receipt, other, other.open)
        pay(history.books, customer, when, found, kind="ro")


def advance_partly_applied(history: History, entity: Entity, when: When) -> None:
    """An advance, then an invoice that uses half of it."""
    amount, currency = history.draw_amount(entity)
    customer = history.customer(entity)
    received = advance(history.books, Account(entity, customer, currency), when, amount)
    if history.rng.random() < 0.7:
        part = money(amount / 2, currency)
        if part:
            record = invoice(
                history.books,
                Account(entity, customer, currency),
                when,
                [Part(part, control_account(customer))],
            )
            pay(history.books, customer, when, applied("POSTEDADVANCE", received, record, part))


def several_customers(history: History, entity: Entity, when: When) -> None:
    """One receipt for invoices of two customers: it names a payer and no customer [D]."""
    first = history.bill(entity, when)
    other = history.customer(entity)
    part = Part(Decimal(250), control_account(other))
    second = invoice(history.books, Account(entity, other, first.currency), when, [part])
    found = [*waterfall(first, first.open), *waterfall(second, Decimal(100))]
    pay(history.books, None, when, found, payer="Group payment of two")


def payment_reversed(history: History, entity: Entity, when: When) -> None:
    """A receipt that bounced: its invoice is open again."""
    record = history.bill(entity, when)
    receipt = pay(history.books, record.customer, when, waterfall(record, record.open))
    history.plan(
        when.entered.date() + timedelta(days=3), lambda w: reverse_payment(history.books, receipt, w)
    )


def draft(history: History, entity: Entity, when: When) -> None:
    """A draft invoice and a draft receipt: no debt."""
    amount, currency = history.draw_amount(entity)
    customer = history.customer(entity)
    part = Part(amount, control_account(customer))
    invoice(history.books, Account(entity, customer, currency), when, [part], draft=True)
    draft_payment(history.books, Account(entity, customer, currency), when, amount)


def no_value(history: History, entity: Entity, when: When) -> None:
    """A zero invoice."""
    customer = history.customer(entity)
    part = Part(Decimal(0), control_account(customer))
    invoice(history.books, Account(entity, customer, entity.currency), when, [part])


def deleted(history: History, entity: Entity, when: When) -> None:
    """An invoice that is deleted two days later; the audit history keeps that."""
    record = history.bill(entity, when)
    history.plan(when.entered.date() + timedelta(days=2), lambda w: _delete(history, record, w))


def _delete(history: History, record: Record, when: When) -> None:
    if record.untouched and record.key in history.books.records[INVOICE]:
        delete(history.books, record, when.entered)


CASES: tuple[Case, ...] = (
    debit_memo, credit_memo, credit_on_debit_memo, order_entry_credit, cash_and_credit, partly_paid, overpaid,
    advance_partly_applied, several_customers, payment_reversed, draft, no_value, deleted,
)  # fmt: skip
