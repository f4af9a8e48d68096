"""The kinds of business that can be posted on request: each finds what it fits and posts one transaction.

What it fits is drawn from a seed. It refuses a kind for which there is no fitting record, with a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from random import Random

from sandbox.intacct.books import ADJUSTMENT, INVOICE, PAYMENT, Books, Entity, Record
from sandbox.intacct.business import (
    DOLLAR_VALUE,
    SALES_RETURNS,
    Account,
    Part,
    When,
    account_of,
    adjustment,
    control_account,
    delete,
    exchange_rate,
    invoice,
    merge,
    release,
    renumber,
    reverse,
)
from sandbox.intacct.history import History
from sandbox.intacct.parties import add_customer
from sandbox.intacct.receipts import advance, applied, pay, reverse_payment, waterfall


@dataclass
class Desk:
    """One request at work."""

    books: Books
    rng: Random
    when: When
    entity_code: str | None
    currency: str = ""

    def __post_init__(self) -> None:
        if self.currency and self.currency not in DOLLAR_VALUE:
            raise ValueError(f"no currency {self.currency}")
        if self.entity_code is not None and self.entity_code not in self.books.entities:
            raise ValueError(f"no entity {self.entity_code}")
        self.history = History(self.books, str(self.rng.random()), self.when.entered.date())

    def entity(self) -> Entity:
        """Give the entity asked for, or draw one that is not private."""
        if self.entity_code is not None:
            return self.books.entities[self.entity_code]
        return self.rng.choice([each for each in self.books.entities.values() if not each.private])

    def open_invoice(self, *, untouched: bool = False) -> Record:
        """Draw an open invoice that is posted by the day."""
        entity = self.entity()

        def fits(record: Record) -> bool:
            return (
                record.entity is entity
                and record.posted <= self.when.posted
                and record.customer is not None
                and (record.untouched or not untouched)
            )

        if (drawn := self.books.draw_open_invoice(self.rng, fits)) is not None:
            return drawn
        raise ValueError(f"entity {entity.code} has no fitting open invoice")

    def settle(self, keys: Sequence[str]) -> Record:
        """Pay what invoices and debit memos have open, credits among the keys applied first."""
        records = [self._record(key) for key in keys]
        debts = [record for record in records if record.open > 0]
        credit_notes = [record for record in records if record.open < 0]
        if not debts:
            raise ValueError(f"nothing of {', '.join(keys)} is open")
        found = []
        for credit in credit_notes:
            kind = "NEGATIVEINVOICE" if credit.object == INVOICE else "ADJUSTMENT"
            target = max(debts, key=lambda record: record.open)
            part = min(target.open, -credit.open)
            found.append(pay(self.books, target.customer, self.when, applied(kind, credit, target, part)))
        cash = [each for record in debts for each in waterfall(record, record.open)]
        payer = debts[0].customer if len({record.customer for record in debts}) == 1 else None
        if not cash:
            return found[-1]
        return pay(self.books, payer, self.when, cash, payer="" if payer else "Group payment")

    def _record(self, key: str) -> Record:
        for name in (INVOICE, ADJUSTMENT):
            if (record := self.books.records[name].get(int(key))) is not None:
                return record
        raise ValueError(f"no invoice or adjustment {key}")

    def invoice(self) -> Record:
        """Write an invoice."""
        return self.history.bill(self.entity(), self.when, currency=self.currency)

    def undated(self) -> Record:
        """Write an invoice without WHENMODIFIED."""
        record = self.invoice()
        record.modified = None
        self.books.version += 1
        return record

    def credit_memo(self) -> Record:
        """Credit a tenth of an open invoice with a memo that nobody applies."""
        record = self.open_invoice()
        part = Part(-self.history.share(record, "0.1"), record.entries[0].control, SALES_RETURNS)
        return adjustment(self.books, account_of(record), self.when, [part], reference=record.number)

    def applied_credit(self) -> Record:
        """Credit a fifth of an open invoice and apply it without cash."""
        record = self.open_invoice()
        amount = self.history.share(record, "0.2")
        part = Part(-amount, record.entries[0].control, SALES_RETURNS)
        memo = adjustment(self.books, account_of(record), self.when, [part])
        return pay(self.books, record.customer, self.when, applied("ADJUSTMENT", memo, record, amount))

    def debit_memo(self) -> Record:
        """Write a debit memo."""
        entity = self.entity()
        amount, currency = self.history.draw_amount(entity)
        customer = self.history.customer(entity)
        part = Part(amount, control_account(customer))
        return adjustment(self.books, Account(entity, customer, currency), self.when, [part])

    def order_entry_credit(self) -> Record:
        """Write a credit memo of Order Entry: a negative invoice."""
        record = self.open_invoice()
        part = Part(-self.history.share(record, "0.3"), record.entries[0].control, SALES_RETURNS)
        number = f"Credit Memo-CM{self.books.number('record'):06d}"
        return invoice(self.books, account_of(record), self.when, [part], module="8.SO", number=number)

    def payment(self) -> Record:
        """Pay an open invoice in full."""
        record = self.open_invoice()
        return pay(self.books, record.customer, self.when, waterfall(record, record.open))

    def discount(self) -> Record:
        """Pay an open invoice less a discount of two percent."""
        record = self.open_invoice()
        found = [
            self.history.discounted(each, Decimal(2), record.currency)
            for each in waterfall(record, record.open)
        ]
        return pay(self.books, record.customer, self.when, found)

    def exchange_payment(self) -> Record:
        """Pay an open invoice in a foreign currency whose rate has moved: the difference is realised."""
        entity = self.entity()
        found = self.books.open_invoices(
            lambda record: (
                record.entity is entity
                and record.posted <= self.when.posted
                and record.customer is not None
                and record.untouched
                and record.rate != exchange_rate(record.currency, entity, self.when.posted)
            )
        )
        if not found:
            raise ValueError(f"entity {entity.code} has no open invoice in a currency whose rate has moved")
        record = self.rng.choice(found)
        return pay(self.books, record.customer, self.when, waterfall(record, record.open))

    def partial(self) -> Record:
        """Pay four tenths of an open invoice."""
        record = self.open_invoice()
        found = waterfall(record, self.history.share(record, "0.4"))
        return pay(self.books, record.customer, self.when, found)

    def overpayment(self) -> Record:
        """Pay an open invoice and a fifth more."""
        for _ in range(50):
            record = self.open_invoice()
            if not account_of(record).customer.account:
                over = self.history.share(record, "0.2")
                found = waterfall(record, record.open)
                return pay(self.books, record.customer, self.when, found, overpaid=over)
        raise ValueError("no customer can overpay")

    def advance(self) -> Record:
        """Receive an advance."""
        entity = self.entity()
        amount, currency = self.history.draw_amount(entity)
        return advance(
            self.books, Account(entity, self.history.customer(entity), currency), self.when, amount
        )

    def group_payment(self) -> Record:
        """Receive one payment for invoices of two customers."""
        first = self.open_invoice()
        found = [
            record
            for record in self.books.open_invoices(lambda record: record.entity is first.entity)
            if record.currency == first.currency and record.customer is not first.customer
            and record.posted <= self.when.posted
        ]  # fmt: skip
        if not found:
            raise ValueError("no second customer has an open invoice in the same currency")
        second = self.rng.choice(found)
        parts = [*waterfall(first, first.open), *waterfall(second, second.open)]
        return pay(self.books, None, self.when, parts, payer="Group payment of two")

    def reversal(self) -> Record:
        """Reverse an unpaid invoice."""
        return reverse(self.books, self.open_invoice(untouched=True), self.when)

    def payment_reversal(self) -> Record:
        """Reverse a receipt that closed what it paid: that is open again."""
        return self._reversed(lambda targets: all(not target.open for target in targets))

    def partial_reversal(self) -> Record:
        """Reverse a receipt that paid an invoice in part: the invoice is open as before."""
        return self._reversed(lambda targets: all(target.open for target in targets))

    def _reversed(self, fits: Callable[[Sequence[Record]], bool]) -> Record:
        entity = self.entity()
        found = [
            record
            for record in self.books.records[PAYMENT].values()
            if record.entity is entity and record.cash > 0 and record.untouched and not record.draft
            and not record.reversed_by and record.posted <= self.when.posted
            and fits([detail.target.record for detail in record.details])
        ]  # fmt: skip
        if not found:
            raise ValueError(f"entity {entity.code} has no receipt to reverse")
        return reverse_payment(self.books, self.rng.choice(found), self.when)

    def deletion(self) -> Record:
        """Delete an unpaid invoice."""
        record = self.open_invoice(untouched=True)
        delete(self.books, record, self.when.entered)
        return record

    def reissue(self) -> Record:
        """Delete an unpaid invoice of Order Entry and write it anew: same number, another RECORDNO [D]."""
        record = self.open_invoice(untouched=True)
        parts = [Part(e.amount, e.control, e.account, e.text) for e in record.entries]
        delete(self.books, record, self.when.entered)
        when = When(record.day, record.posted, self.when.entered)
        return invoice(
            self.books, account_of(record), when, parts, number=record.number, due=record.due, module="8.SO",
            reference=record.reference,
        )  # fmt: skip

    def draft(self) -> Record:
        """Write a draft invoice."""
        entity = self.entity()
        amount, currency = self.history.draw_amount(entity)
        customer = self.history.customer(entity)
        part = Part(amount, control_account(customer))
        return invoice(self.books, Account(entity, customer, currency), self.when, [part], draft=True)

    def released_draft(self) -> Record:
        """Post a draft invoice."""
        found = [
            record
            for record in self.books.records[INVOICE].values()
            if record.draft and self.entity_code in (None, record.entity.code)
        ]
        if not found:
            raise ValueError("there is no draft invoice")
        record = self.rng.choice(found)
        release(self.books, record, self.when.entered)
        return record

    def due_date(self) -> Record:
        """Move the due date of an open invoice by 30 days."""
        record = self.open_invoice()
        record.move_due((record.due or self.when.day) + timedelta(days=30), self.when.entered)
        self.books.version += 1
        return record

    def new_customer(self) -> Record:
        """Create a customer and write its first invoice."""
        entity = self.entity()
        customer = add_customer(self.books, entity, self.when.entered)
        return invoice(
            self.books, Account(entity, customer, entity.currency), self.when, [Part(Decimal(500), "12000")]
        )

    def renamed_customer(self) -> Record:
        """Rename the customer of an open invoice."""
        record = self.open_invoice()
        customer = account_of(record).customer
        customer.name, customer.modified = f"{customer.name} II"[:100], self.when.entered
        self.books.version += 1
        return record

    def renumbered_customer(self) -> Record:
        """Give the customer of an open invoice another CUSTOMERID."""
        record = self.open_invoice()
        customer = account_of(record).customer
        number = f"{customer.number[:12]}-{self.books.number('record')}"
        renumber(self.books, customer, number, self.when.entered)
        return record

    def merged_customer(self) -> Record:
        """Merge the customer of an open invoice into another."""
        record = self.open_invoice()
        customer = account_of(record).customer
        wanted = [
            other
            for other in self.books.customers.values()
            if other is not customer and other.entity in ("", customer.entity)
        ]
        if not wanted:
            raise ValueError(f"there is no customer that {customer.number} can be merged into")
        merge(self.books, customer, self.rng.choice(wanted), self.when.entered)
        return record

    def customer_on_hold(self) -> Record:
        """Put the customer of an open invoice on hold, or release it."""
        record = self.open_invoice()
        customer = account_of(record).customer
        customer.on_hold, customer.modified = not customer.on_hold, self.when.entered
        self.books.version += 1
        return record


ACTIONS: dict[str, Callable[[Desk], Record]] = {
    "invoices": Desk.invoice,
    "undated": Desk.undated,
    "credit_memos": Desk.credit_memo,
    "applied_credits": Desk.applied_credit,
    "debit_memos": Desk.debit_memo,
    "order_entry_credits": Desk.order_entry_credit,
    "payments": Desk.payment,
    "discounts": Desk.discount,
    "exchange_payments": Desk.exchange_payment,
    "partials": Desk.partial,
    "overpayments": Desk.overpayment,
    "advances": Desk.advance,
    "group_payments": Desk.group_payment,
    "reversals": Desk.reversal,
    "payment_reversals": Desk.payment_reversal,
    "partial_reversals": Desk.partial_reversal,
    "deletes": Desk.deletion,
    "reissues": Desk.reissue,
    "drafts": Desk.draft,
    "released_drafts": Desk.released_draft,
    "due_dates": Desk.due_date,
    "new_customers": Desk.new_customer,
    "renamed_customers": Desk.renamed_customer,
    "renumbered_customers": Desk.renumbered_customer,
    "merged_customers": Desk.merged_customer,
    "customers_on_hold": Desk.customer_on_hold,
}
MIX = {
    "invoices": 38, "undated": 1, "credit_memos": 5, "applied_credits": 3, "debit_memos": 2,
    "order_entry_credits": 2, "payments": 18, "discounts": 3, "partials": 6, "overpayments": 2,
    "advances": 2, "group_payments": 1, "reversals": 3, "payment_reversals": 2, "partial_reversals": 1,
    "deletes": 3, "reissues": 2, "drafts": 1, "released_drafts": 1, "due_dates": 2, "new_customers": 1,
    "renamed_customers": 1, "renumbered_customers": 1, "merged_customers": 1, "customers_on_hold": 1,
}  # fmt: skip
