"""Business posted into a running world on request: what happened in the ERP since the last read.

Open items are chosen by a seed that moves on with every request, so that repeated requests do new things.
A posting dated before today is entered today; a day after today moves the clock to it. It refuses a request
for which there is no fitting open item, with a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from sandbox import business, receipts
from sandbox.books import Books, Company, Document, Item, money
from sandbox.business import When
from sandbox.clock import Clock
from sandbox.history import History
from sandbox.parties import add_customer_like


@dataclass
class Clerk:
    """Posts into the books of one tenant."""

    books: Books
    seed: str
    clock: Clock
    requests: int = 0

    def begin(self, day: date) -> dict[str, Any]:
        """End the current day and go to a later one.

        Raises:
            ValueError: the day is not after today.
        """
        ended = max(self.books.today, self.clock.today())
        if day <= ended:
            raise ValueError(f"the day {day} is not after today, {ended}")
        self.clock.move(day)
        self.books.today = day
        return {"ended": ended.isoformat(), "today": day.isoformat()}

    def post(self, wish: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Post what a request asks for and list the documents.

        `wish` holds numbers by kind (ACTIONS), `settle` (lists of item keys, each cleared by one receipt),
        `number` for that receipt, `company_code`, `currency` of invoices, `on` (day of posting, default
        today) and `entered` (day of entry, default today: an earlier one is what was entered then and
        committed only now).

        Raises:
            ValueError: an unknown kind, nothing fits, or a day of entry after today.
        """
        unknown = set(wish) - set(ACTIONS) - {"company_code", "currency", "on", "entered", "settle", "number"}
        if unknown:
            raise ValueError(f"cannot post {', '.join(sorted(unknown))}: choose from {', '.join(ACTIONS)}")
        self.requests += 1
        self.books.today = max(self.books.today, self.clock.today())
        day = date.fromisoformat(wish["on"]) if "on" in wish else self.books.today
        if day > self.books.today:
            self.begin(day)
        entered = date.fromisoformat(wish.get("entered", self.books.today.isoformat()))
        if entered > self.books.today:
            raise ValueError(f"nothing can be entered on {entered}: today is {self.books.today}")
        when = When(day, entered)
        desk = Desk(
            self.books,
            Random(f"{self.seed} {self.requests}"),
            when,
            wish.get("company_code"),
            wish.get("currency", ""),
        )
        done = [
            _named("settled", desk.settle(keys, wish.get("number", ""))) for keys in wish.get("settle", [])
        ]
        for kind, act in ACTIONS.items():
            done.extend(
                _named(kind, document) for _ in range(int(wish.get(kind, 0))) for document in [act(desk)]
            )
        return done


def _named(kind: str, document: Document) -> dict[str, Any]:
    return {
        "kind": kind,
        "company_code": document.company.code,
        "fiscal_year": document.year,
        "document": document.number,
        "items": [str(item.number) for item in document.customer_items],
    }


@dataclass
class Desk:
    """One request at work."""

    books: Books
    rng: Random
    when: When
    company_code: str | None
    currency: str = ""

    def __post_init__(self) -> None:
        if self.currency and self.currency not in business.EURO_VALUE:
            raise ValueError(f"no currency {self.currency}")
        if self.company_code is not None and self.company_code not in self.books.companies:
            raise ValueError(f"no company code {self.company_code}")
        self._history = History(self.books, str(self.rng.random()))

    def company(self) -> Company:
        """Give the company code asked for, or draw one."""
        return self.books.companies[self.company_code or self.rng.choice(sorted(self.books.companies))]

    def open_invoice(self, *, minimum_parts: int = 1) -> Item:
        """Draw an open invoice item, not paid in part yet, of a partner that is not blocked."""
        return self.rng.choice(self._candidates(minimum_parts))

    def _candidates(self, minimum_parts: int) -> Sequence[Item]:
        company = self.company()
        items = self.books.open_items(company)
        named = {(i.invoice_reference, i.invoice_reference_year, i.invoice_item_reference) for i in items}
        found = [
            item
            for item in items
            if item.amount > 0
            and not item.special_gl
            and not item.invoice_reference
            and item.document.posting_date <= self.when.posting
            and not self.books.customers[item.customer].blocked
            and (item.document.number, item.document.year, str(item.number)) not in named
            and abs(item.amount) >= minimum_parts
            and not self._is_cancelled(item)
        ]
        if not found:
            raise ValueError(f"company code {company.code} has no fitting open invoice")
        return found

    def _is_cancelled(self, item: Item) -> bool:
        billing = business.billing_of(self.books, item.document)
        return billing is not None and (billing.is_cancelled or billing.cancels is not None)

    def settle(self, keys: Sequence[Sequence[str]], number: str) -> Document:
        """Clear the items named by (company code, year, document, item) with one receipt."""
        try:
            items = [self.books.item(code, year, document, int(n)) for code, year, document, n in keys]
        except KeyError as error:
            raise ValueError(f"no item {error}") from error
        return receipts.payment(self.books, items, self.when, number=number)

    def invoice(self) -> Document:
        """Post an invoice."""
        return self._history.bill(self.company(), self.when, currency=self.currency)[0].document

    def instalments(self) -> Document:
        """Post an invoice in three instalments."""
        return self._history.bill(self.company(), self.when, instalments=3)[0].document

    def undated(self) -> Document:
        """Post an invoice that carries neither a day of entry nor one of change, as migrated ones may [K]."""
        document = self.invoice()
        document.undated = True
        self.books.version += 1
        return document

    def credit_memo(self) -> Document:
        """Credit a tenth of an open invoice, naming it."""
        item = self.open_invoice(minimum_parts=10)
        code = item.document.company.code
        account = self.books.customers[item.branch or item.customer].accounts[code]
        part = self._history.part(item, 0.1)
        return business.credit_memo(self.books, account, self.when, part, item.document.currency, of=item)

    def payment(self) -> Document:
        """Pay an open invoice in full."""
        return receipts.payment(self.books, [self.open_invoice()], self.when)

    def discount(self) -> Document:
        """Pay an open invoice less its cash discount, which the vendor keeps on the cleared item."""
        wanted = [item for item in self._candidates(100) if item.discount_1_percent]
        if not wanted:
            raise ValueError("no open invoice has terms with a discount")
        return receipts.payment(self.books, [self.rng.choice(wanted)], self.when, with_discount=True)

    def exchange_payment(self) -> Document:
        """Pay an open invoice in a foreign currency whose rate has moved: the difference is realised."""
        wanted = [item for item in self._candidates(1) if self._rate_moved(item)]
        if not wanted:
            raise ValueError("no open invoice is in a currency whose rate has moved")
        return receipts.payment(self.books, [self.rng.choice(wanted)], self.when)

    def _rate_moved(self, item: Item) -> bool:
        head = item.document
        worth = business.exchange_rate(head.currency, head.company, self.when.posting) * item.amount
        return money(worth, head.company.currency) != item.company_amount

    def payment_on_account(self) -> Document:
        """Receive money that names no invoice."""
        gross, currency = self._history.draw_amount(company := self.company())
        account = self._history.account(company)
        return receipts.payment_on_account(self.books, account, self.when, gross, currency)

    def payment_reversal(self) -> Document:
        """Reset the clearing of a receipt and reverse it: what it paid is open again, receipts are not."""
        wanted = [
            item
            for item in self._cleared_receipts()
            if all(other.clearing in (None, item.clearing) for other in item.document.customer_items)
        ]
        if not wanted:
            raise ValueError("no receipt can be reversed: what they left open was cleared since")
        item = self.rng.choice(wanted)
        if item.clearing is not None:
            self.books.reset_clearing(item.clearing, self.when.entered)
        return business.reversal(self.books, item.document, self.when)

    def partial_reversal(self) -> Document:
        """Reverse a partial payment: the invoice that it names is open as a whole again."""
        company = self.company()
        wanted = [
            item
            for item in self.books.open_items(company)
            if item.follow_on == "Z" and all(other.is_open for other in item.document.customer_items)
            and not self.books.customers[item.customer].blocked
        ]  # fmt: skip
        if not wanted:
            raise ValueError(f"company code {company.code} has no open partial payment")
        return business.reversal(self.books, self.rng.choice(wanted).document, self.when)

    def partial(self) -> Document:
        """Pay four tenths of an open invoice."""
        item = self.open_invoice(minimum_parts=10)
        return receipts.partial_payment(self.books, item, self.when, self._history.part(item, 0.4))

    def residual(self) -> Document:
        """Pay an open invoice but for a tenth, which becomes a new item."""
        item = self.open_invoice(minimum_parts=10)
        return receipts.payment_with_residual(self.books, item, self.when, self._history.part(item, 0.1))

    def reversal(self) -> Document:
        """Reverse an invoice whose items are all open."""
        wanted = [i for i in self._candidates(1) if all(other.is_open for other in i.document.customer_items)]
        if not wanted:
            raise ValueError("no invoice can be reversed")
        return business.reversal(self.books, self.rng.choice(wanted).document, self.when)

    def cancellation(self) -> Document:
        """Cancel the billing document of an invoice: the opposite invoice stays open beside it."""
        wanted = [item.document for item in self._candidates(1) if item.billing_document]
        if not wanted:
            raise ValueError("no billed invoice can be cancelled")
        return business.cancellation(self.books, self.rng.choice(wanted), self.when)

    def reissue(self) -> Document:
        """Reverse an invoice and post it again: SAP never uses a document's number twice."""
        wrong = self.reversal().reverses
        if wrong is None:
            raise ValueError("no invoice can be reversed")
        item = wrong.customer_items[0]
        account = self.books.customers[item.branch or item.customer].accounts[wrong.company.code]
        gross = sum((each.amount for each in wrong.customer_items), Decimal(0))
        return business.invoice(
            self.books, account, self.when, gross, wrong.currency, kind=wrong.kind,
            instalments=len(wrong.customer_items), text=item.text,
        )  # fmt: skip

    def down_payment(self) -> Document:
        """Receive a down payment."""
        gross, currency = self._history.draw_amount(company := self.company())
        return receipts.down_payment(self.books, self._history.account(company), self.when, gross, currency)

    def reset(self) -> Document:
        """Reset the clearing of a receipt: what it cleared is open again."""
        item = self.rng.choice(self._cleared_receipts())
        if item.clearing is not None:
            self.books.reset_clearing(item.clearing, self.when.entered)
        return item.document

    def _cleared_receipts(self) -> list[Item]:
        """Give the items of receipts that were cleared by their own document and can be opened again."""
        company = self.company()
        found = [
            item
            for item in self.books.items
            if item.document.company is company
            and item.document.kind == "DZ"
            and item.clearing is not None
            and item.clearing.document == item.document.number
            and not item.document.is_reversal
            and not item.document.is_reversed
            and not (item.customer and self.books.customers[item.customer].blocked)
        ]
        if not found:
            raise ValueError(f"company code {company.code} has no clearing to reset")
        return found

    def due_date(self) -> Document:
        """Move the due date of an open invoice by 30 days."""
        item = self.open_invoice()
        later = (item.due_date or self.when.posting) + timedelta(days=30)
        business.change_due_date(self.books, item, later, self.when.entered)
        return item.document

    def dunning(self) -> Document:
        """Dun an open invoice."""
        item = self.open_invoice()
        business.dun(self.books, [item], self.when.posting)
        return item.document

    def new_customer(self) -> Document:
        """Create a customer and post its first invoice."""
        company = self.company()
        like = self._history.account(company).customer
        customer = add_customer_like(self.books, like, self.when.entered)
        gross, currency = self._history.draw_amount(company)
        return business.invoice(
            self.books, customer.accounts[company.code], self.when, gross, currency, kind="DR"
        )

    def renamed_partner(self) -> Document:
        """Rename the business partner of an open invoice."""
        item = self.open_invoice()
        customer = self.books.customers[item.customer]
        business.rename(self.books, customer, f"{customer.name} II"[:80], self.when.entered)
        return item.document

    def blocked_partner(self) -> Document:
        """Block the business partner of an open invoice: its data disappears from the services."""
        item = self.open_invoice()
        business.block(self.books, self.books.customers[item.customer], self.when.entered)
        return item.document


ACTIONS: dict[str, Callable[[Desk], Document]] = {
    "invoices": Desk.invoice,
    "instalments": Desk.instalments,
    "undated": Desk.undated,
    "credit_memos": Desk.credit_memo,
    "payments": Desk.payment,
    "discounts": Desk.discount,
    "exchange_payments": Desk.exchange_payment,
    "payments_on_account": Desk.payment_on_account,
    "payment_reversals": Desk.payment_reversal,
    "partial_reversals": Desk.partial_reversal,
    "partials": Desk.partial,
    "residuals": Desk.residual,
    "reversals": Desk.reversal,
    "cancellations": Desk.cancellation,
    "reissues": Desk.reissue,
    "down_payments": Desk.down_payment,
    "resets": Desk.reset,
    "due_dates": Desk.due_date,
    "dunnings": Desk.dunning,
    "new_customers": Desk.new_customer,
    "renamed_partners": Desk.renamed_partner,
    "blocked_partners": Desk.blocked_partner,
}
