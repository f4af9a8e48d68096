"""Two years of business for one tenant, posted day by day from a seed, with numbers and dates in order.

It posts only through `sandbox.business`; it refuses nothing of its own.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from random import Random

from sandbox.books import Account, Books, Company, Document, Item, money
from sandbox.business import (
    When,
    cancellation,
    credit_memo,
    down_payment_request,
    dun,
    invoice,
    parked_invoice,
    reversal,
)
from sandbox.receipts import (
    clear_down_payment,
    clear_with_credit,
    down_payment,
    partial_payment,
    payment,
    payment_on_account,
    payment_with_residual,
)

HISTORY_DAYS = 730
CURRENCIES: Mapping[str, tuple[Sequence[str], Sequence[int]]] = {  # of documents, by company currency
    "EUR": (("EUR", "USD", "JPY", "KWD"), (80, 13, 4, 3)),
    "JPY": (("JPY", "USD", "EUR"), (85, 10, 5)),
    "KWD": (("KWD", "USD", "EUR"), (80, 15, 5)),
}
EUROS_TO = {"EUR": Decimal(1), "USD": Decimal("1.09"), "JPY": Decimal(164), "KWD": Decimal("0.33")}
TEXTS = (
    "",
    "",
    "Lieferung Müller & Söhne",
    'L\'échéance "2" est repoussée',
    "第3四半期の請求",
    "Delivery note 4711",
)


class History:
    """A calendar of transactions that are drawn from a seed and posted in the order of their days."""

    def __init__(self, books: Books, seed: str) -> None:
        self.books = books
        self.rng = Random(seed)
        self._sequence = 0
        self._calendar: list[tuple[date, int, Callable[[When], object]]] = []
        self._accounts: dict[str, list[Account]] = {code: [] for code in books.companies}
        blocked = {c.number for c in books.customers.values() if c.blocked or c.posting_blocked}
        for customer in books.customers.values():
            for code, account in customer.accounts.items():
                if not {customer.number, account.head_office} & blocked:
                    self._accounts[code].append(account)

    def plan(self, day: date, act: Callable[[When], object]) -> None:
        """Plan a transaction; what falls after today never happens."""
        self._sequence += 1
        if day <= self.books.today:
            heapq.heappush(self._calendar, (day, self._sequence, act))

    def run(self) -> None:
        """Do what is planned, in the order of days; what is done may plan more."""
        while self._calendar:
            day, _, act = heapq.heappop(self._calendar)
            act(self.when(day))

    def when(self, day: date) -> When:
        """One document in 20 is entered some days after its posting day."""
        late = self.rng.randint(1, 4) if self.rng.random() < 0.05 else 0
        entered = min(day + timedelta(days=late), self.books.today)
        return When(day, entered, f"PT{self.rng.randint(6, 19):02d}H{self.rng.randint(0, 59):02d}M00S")

    def account(self, company: Company) -> Account:
        """Draw a customer's account in the company code."""
        return self.rng.choice(self._accounts[company.code])

    def draw_amount(self, company: Company, currency: str = "") -> tuple[Decimal, str]:
        """Draw a gross amount, many small and few large, and its currency where none is given."""
        names, weights = CURRENCIES[company.currency]
        currency = currency or self.rng.choices(names, weights)[0]
        euros = Decimal(str(round(min(40 + self.rng.expovariate(1 / 1800), 90000), 2)))
        return money(euros * EUROS_TO[currency], currency), currency

    def bill(self, company: Company, when: When, instalments: int = 1, currency: str = "") -> list[Item]:
        """Post one invoice of the usual mix and give its customer items."""
        kind = "RV" if self.rng.random() < 0.85 else "DR"
        gross, currency = self.draw_amount(company, currency)
        document = invoice(
            self.books, self.account(company), when, gross, currency, kind=kind,
            instalments=instalments, text=self.rng.choice(TEXTS),
        )  # fmt: skip
        return document.customer_items

    def bill_and_settle(self, company: Company, when: When) -> None:
        """Post an invoice and plan how it is paid, credited or reversed."""
        items = self.bill(company, when)
        item, draw = items[0], self.rng.random()
        later = when.posting + timedelta(days=self.rng.randint(3, 45))
        if draw < 0.06:
            negative = self.rng.random() < 0.2
            if draw < 0.01 and item.billing_document:
                self.plan(later, partial(self.cancel, item.document))
            else:
                self.plan(later, lambda w: reversal(self.books, item.document, w, negative_posting=negative))
        elif draw < 0.12 and item.document.currency == company.currency:
            self.plan(later, partial(self.credit_in_full, item))
        elif draw < 0.17:
            self.plan(later, lambda w: payment_with_residual(self.books, item, w, self.part(item, 0.1)))
        elif draw < 0.21:
            self.plan(later, lambda w: self.pay_in_parts(item, w))
        else:
            discount = self.rng.random() < 0.3
            self.plan(later, lambda w: payment(self.books, [item], w, with_discount=discount))

    def cancel(self, document: Document, when: When) -> None:
        """Cancel a billed invoice, and clear it with its opposite by hand."""
        opposite = cancellation(self.books, document, when)
        clear_with_credit(self.books, [*document.customer_items, *opposite.customer_items], when)

    def part(self, item: Item, share: float) -> Decimal:
        """Give a share of an item's amount, at least one unit of its currency and less than all."""
        amount = money(item.amount * Decimal(str(share)), item.document.currency)
        return amount or item.amount

    def credit_in_full(self, item: Item, when: When) -> None:
        """Credit an invoice in full; both are cleared by a document without rows."""
        account = self.books.customers[item.branch or item.customer].accounts[item.document.company.code]
        document = credit_memo(
            self.books, account, when, item.amount, item.document.currency, kind="DG", of=item
        )
        clear_with_credit(self.books, [item, *document.customer_items], when)

    def pay_in_parts(self, item: Item, when: When) -> None:
        """Receive half, and plan the second half: then invoice and both payments are cleared together."""
        half = partial_payment(self.books, item, when, self.part(item, 0.5)).customer_items
        rest = when.posting + timedelta(days=20)
        self.plan(rest, lambda w: payment(self.books, [item, *half], w))

    def odd(self, company: Company, when: When, kind: int) -> None:
        """Post one of the cases that stay open: credits, parts, advances, parked and noted documents."""
        gross, currency = self.draw_amount(company)
        account = self.account(company)
        if kind == 0:
            credit_memo(self.books, account, when, gross, currency, kind="DG")
        elif kind == 1:
            credit_memo(self.books, account, when, gross, currency, kind="RV")
        elif kind == 2:
            credit_memo(self.books, account, when, gross, currency, kind="DG", reference="V")
        elif kind == 3:
            payment_on_account(self.books, account, when, gross, currency)
        elif kind == 4:
            item = self.bill(company, when)[0]
            partial_payment(self.books, item, when, self.part(item, 0.4))
        elif kind == 5:
            item = self.bill(company, when, instalments=3)[0]
            owner = self.books.customers[item.branch or item.customer].accounts[company.code]
            credit = self.part(item, 0.2)
            credit_memo(self.books, owner, when, credit, item.document.currency, kind="DG", of=item)
        elif kind == 6:
            advance = down_payment(self.books, account, when, gross, currency).customer_items[0]
            self.plan(when.posting + timedelta(days=60), lambda w: clear_down_payment(self.books, advance, w))
        elif kind == 7:
            down_payment_request(self.books, account, when, gross, currency)
        else:
            parked_invoice(self.books, account, when, gross, currency)


def write_history(books: Books, seed: str, open_items: int) -> None:
    """Post until at least `open_items` items are open, half as many are settled, and some lie ahead."""
    history = History(books, seed)
    rng, today = history.rng, books.today
    share = open_items // len(books.companies)
    for company in books.companies.values():
        for _ in range(share // 2):
            day = today - timedelta(days=rng.randint(0, HISTORY_DAYS))
            history.plan(day, partial(history.bill_and_settle, company))
        for _ in range(share // 18):
            day = today - timedelta(days=rng.randint(0, 240))
            history.plan(day, partial(_odd_case, history, company, rng.randrange(9)))
        for _ in range(share * 2 // 3):
            day = today - timedelta(days=min(int(rng.expovariate(1 / 80)), 600))
            instalments = rng.choices((1, 2, 3), (90, 6, 4))[0]
            history.plan(day, partial(_bill, history, company, instalments))
    history.run()
    for company in books.companies.values():
        missing = share - len(books.open_items(company)) + 1
        for _ in range(max(missing, 0)):
            history.bill(company, history.when(today - timedelta(days=rng.randint(0, 6))))
        ahead = today + timedelta(days=40)
        history.bill(company, When(ahead, today))
    overdue = [
        item for item in books.open_items() if item.due_date and item.due_date < today - timedelta(days=40)
    ]
    dun(books, overdue[::3], today - timedelta(days=7))


def _odd_case(history: History, company: Company, kind: int, when: When) -> None:
    history.odd(company, when, kind)


def _bill(history: History, company: Company, instalments: int, when: When) -> None:
    history.bill(company, when, instalments)
