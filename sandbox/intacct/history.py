"""Two years of business for one company, entered moment by moment from a seed.

What is entered late is done late: transactions happen in the order of their entry, so that the books of any
past evening can be told. It posts only through `sandbox.intacct.business` and `receipts`; it refuses nothing.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from decimal import Decimal
from functools import partial
from random import Random

from sandbox.intacct import odd_cases
from sandbox.intacct.books import RECEIVABLES_OTHER, ZERO, Books, Customer, Entity, Record, money
from sandbox.intacct.business import (
    DOLLAR_VALUE,
    REVENUE,
    SERVICES,
    Account,
    Part,
    When,
    account_of,
    adjustment,
    control_account,
    invoice,
    reverse,
)
from sandbox.intacct.receipts import Application, applied, pay, waterfall

HISTORY_DAYS = 730
NEVER = datetime(1, 1, 1)  # noqa: DTZ001 - moments of the books have no zone
CURRENCIES: Mapping[str, tuple[Sequence[str], Sequence[int]]] = {  # of documents, by base currency
    "USD": (("USD", "EUR", "GBP", "JPY"), (82, 9, 5, 4)),
    "EUR": (("EUR", "USD", "GBP", "JPY"), (80, 12, 5, 3)),
}
TEXTS = ("", "", "", "Lieferung Müller & Söhne", "Delivery <4711> & returns", "第3四半期の請求", 'Quote "77"')


class History:
    """A calendar of transactions that are drawn from a seed and done in the order of their entry."""

    def __init__(self, books: Books, seed: str, last_day: date) -> None:
        self.books = books
        self.rng = Random(seed)
        self.last_day = last_day
        self._sequence = 0
        self._now = NEVER
        self._calendar: list[tuple[datetime, int, date, Callable[[When], object]]] = []
        self._customers = {
            code: [c for c in books.customers.values() if c.entity in ("", code)] for code in books.entities
        }

    def plan(self, day: date, act: Callable[[When], object]) -> None:
        """Plan a transaction of a day; one in 20 is entered days later, what falls too late never happens."""
        late = self.rng.randint(1, 5) if self.rng.random() < 0.05 else 0
        clock = time_of_day(self.rng.randint(6, 19), self.rng.randint(0, 59), self.rng.randint(0, 59))
        entered = datetime.combine(day + timedelta(days=late), clock)
        if entered.date() <= self.last_day:
            self._sequence += 1
            heapq.heappush(self._calendar, (max(entered, self._now), self._sequence, day, act))

    def run(self) -> None:
        """Do what is planned, in the order of entry; what is done may plan more."""
        while self._calendar:
            entered, _, day, act = heapq.heappop(self._calendar)
            self._now = entered
            later = self.rng.randint(1, 2) if self.rng.random() < 0.03 else 0  # posts after its own day
            act(When(day, day + timedelta(days=later), entered))

    def customer(self, entity: Entity) -> Customer:
        """Draw a customer that may do business with an entity."""
        return self.rng.choice(self._customers[entity.code])

    def draw_amount(self, entity: Entity, currency: str = "") -> tuple[Decimal, str]:
        """Draw an amount, many small and few large, and its currency where none is given."""
        names, weights = CURRENCIES[entity.currency]
        currency = currency or self.rng.choices(names, weights)[0]
        dollars = Decimal(str(round(min(40 + self.rng.expovariate(1 / 1800), 90000), 2)))
        return money(dollars / DOLLAR_VALUE[currency], currency), currency

    def parts(self, amount: Decimal, currency: str, control: str, *, split: bool = False) -> list[Part]:
        """Cut an amount into one to three lines; `split` puts the last one on the other control account."""
        count = 2 if split else self.rng.choices((1, 2, 3), (50, 35, 15))[0]
        piece = money(amount / count, currency)
        cut = [piece] * (count - 1) + [amount - piece * (count - 1)]
        accounts = (REVENUE, SERVICES, REVENUE)
        controls = [control] * count
        if split:
            controls[-1] = RECEIVABLES_OTHER if control != RECEIVABLES_OTHER else "12000"
        return [
            Part(amount, on, account, self.rng.choice(TEXTS))
            for amount, on, account in zip(cut, controls, accounts, strict=False)
            if amount
        ]

    def bill(
        self, entity: Entity, when: When, *, split: bool = False, number: str = "", currency: str = ""
    ) -> Record:
        """Write one invoice of the usual mix."""
        amount, currency = self.draw_amount(entity, currency)
        customer = self.customer(entity)
        parts = self.parts(amount, currency, control_account(customer), split=split)
        module = "8.SO" if self.rng.random() < 0.4 else "4.AR"
        return invoice(
            self.books, Account(entity, customer, currency), when, parts, module=module, number=number,
            reference=f"PO-{self.rng.randint(1000, 99999)}", text=self.rng.choice(TEXTS),
        )  # fmt: skip

    def bill_in_parts(self, entity: Entity, count: int, when: When) -> None:
        """Write instalments: invoices of their own with numbered ends and the same dates [F]."""
        stem = f"{self.books.number('record')}"
        for part in range(1, count + 1):
            self.bill(entity, when, number=f"{stem}-{part:02d}")

    def share(self, record: Record, share: str) -> Decimal:
        """Give a share of what a record has open, at least one unit and less than all."""
        return money(record.open * Decimal(share), record.currency) or record.open

    def bill_and_settle(self, entity: Entity, when: When) -> None:
        """Write an invoice and plan how it is paid, credited or reversed."""
        record = self.bill(entity, when, split=self.rng.random() < 0.04)
        later = max(when.day, when.entered.date()) + timedelta(days=self.rng.randint(3, 45))
        draw = self.rng.random()
        if draw < 0.05:
            self.plan(later, lambda w: reverse(self.books, record, w) if record.untouched else None)
        elif draw < 0.10:
            self.plan(later, partial(self.credit_in_full, record))
        elif draw < 0.16:
            self.plan(later, partial(self.pay_in_parts, record))
        else:
            self.plan(later, partial(self.settle, record))

    def settle(self, record: Record, when: When) -> Record | None:
        """Pay an invoice in full, with its discount when it is early enough."""
        term = self.books.terms[record.term]
        early = when.posted <= record.day + timedelta(days=term.discount_days)
        if not record.open:
            return None
        found = waterfall(record, record.open)
        if early and term.discount_percent and record.untouched:
            found = [self.discounted(each, term.discount_percent, record.currency) for each in found]
        return pay(self.books, record.customer, when, found)

    def discounted(self, application: Application, percent: Decimal, currency: str) -> Application:
        """Grant a discount on cash: less is received than is applied."""
        (source,) = application.sources
        discount = money(source.amount * percent / 100, currency)
        if not discount:
            return application
        cash = type(source)(source.kind, source.amount - discount)
        return Application(application.target, (cash,), discount)

    def credit_in_full(self, record: Record, when: When) -> None:
        """Credit an invoice in full and apply the credit memo without cash."""
        if not record.open:
            return
        control = record.entries[0].control
        memo = adjustment(
            self.books, account_of(record), when, [Part(-record.open, control)], reference=record.number
        )
        pay(self.books, record.customer, when, applied("ADJUSTMENT", memo, record, record.open))

    def pay_in_parts(self, record: Record, when: When) -> None:
        """Receive half over the lines, and plan the second half."""
        if record.open:
            pay(self.books, record.customer, when, waterfall(record, self.share(record, "0.5")))
            self.plan(when.entered.date() + timedelta(days=20), partial(self.settle, record))


def write_history(books: Books, seed: str, open_items: int, last_day: date) -> None:
    """Post until at least `open_items` records are open; a private entity gets one in forty of them."""
    history = History(books, seed, last_day)
    rng = history.rng
    entities = list(books.entities.values())
    weights = [1 if entity.private else 20 for entity in entities]
    for _ in range(open_items // 2):
        day = last_day - timedelta(days=rng.randint(0, HISTORY_DAYS))
        history.plan(day, partial(history.bill_and_settle, rng.choices(entities, weights)[0]))
    for position in range(max(open_items // 16, 26)):
        day = last_day - timedelta(days=rng.randint(0, 240))
        entity = rng.choices(entities, weights)[0]
        case = odd_cases.CASES[position % len(odd_cases.CASES)]
        history.plan(day, partial(case, history, entity))
    for _ in range(open_items * 3 // 4):
        day = last_day - timedelta(days=min(int(rng.expovariate(1 / 80)), 600))
        history.plan(day, partial(_open, history, rng.choices(entities, weights)[0]))
    history.run()
    _fill_up(history, open_items)


def _open(history: History, entity: Entity, when: When) -> None:
    if history.rng.random() < 0.06:
        history.bill_in_parts(entity, history.rng.choice((2, 3)), when)
    else:
        history.bill(entity, when, split=history.rng.random() < 0.03)


def _fill_up(history: History, wanted: int) -> None:
    """Bill on the last day until enough is open, and one invoice of each entity that lies ahead."""
    books, day = history.books, history.last_day
    moment = datetime.combine(day, time_of_day(20))
    public = [entity for entity in books.entities.values() if not entity.private]
    missing = wanted - sum(record.open != ZERO and not record.draft for record in books.all_records())
    for position in range(max(missing, 0)):
        history.bill(public[position % len(public)], When.at(day, moment))
    for entity in books.entities.values():
        history.bill(entity, When.at(day + timedelta(days=40), moment))
