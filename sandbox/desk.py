"""The kinds of business that can be posted on request: each finds what it fits and posts one transaction.

What it fits is drawn from a seed. It refuses a kind for which there is no fitting open item, with a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from random import Random

from sandbox import business, parties, receipts
from sandbox.books import Account, Books, Company, Document, Item, money
from sandbox.business import When
from sandbox.history import History


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
        """Draw an open invoice item, not paid in part yet, of a partner that is not blocked.

        A few are tried before all are looked at: posting many documents a second leaves no time for that.
        """
        company = self.company()
        items = self.books.open_items(company)
        for item in self.rng.sample(items, min(len(items), 60)):
            if self._fits(item, minimum_parts) and _reference(item) not in map(_referred, items):
                return item
        return self.rng.choice(self._candidates(minimum_parts, company))

    def _candidates(self, minimum_parts: int, company: Company | None = None) -> Sequence[Item]:
        company = company or self.company()
        items = self.books.open_items(company)
        named = set(map(_referred, items))
        found = [item for item in items if self._fits(item, minimum_parts) and _reference(item) not in named]
        if not found:
            raise ValueError(f"company code {company.code} has no fitting open invoice")
        return found

    def _fits(self, item: Item, minimum_parts: int) -> bool:
        return (
            item.amount >= minimum_parts
            and not item.special_gl
            and not item.invoice_reference
            and item.document.posting_date <= self.when.posting
            and not self.books.customers[item.customer].blocked
            and not self._is_cancelled(item)
        )

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

    def unnamed_residual(self) -> Document:
        """Pay an open invoice but for a tenth, which becomes a new item that names nothing."""
        item = self.open_invoice(minimum_parts=10)
        rest = self._history.part(item, 0.1)
        return receipts.payment_with_residual(self.books, item, self.when, rest, named=False)

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
            and not item.document.archived
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

    def archiving(self) -> Document:
        """Pay an invoice whose items are all open, and archive both: they are no longer shown."""
        wanted = [i for i in self._candidates(1) if all(other.is_open for other in i.document.customer_items)]
        if not wanted:
            raise ValueError("no invoice can be paid and archived")
        document = self.rng.choice(wanted).document
        receipt = receipts.payment(self.books, document.customer_items, self.when)
        document.archived = receipt.archived = True
        self.books.version += 1
        return document

    def dunning(self) -> Document:
        """Dun an open invoice."""
        item = self.open_invoice()
        business.dun(self.books, [item], self.when.posting)
        return item.document

    def new_customer(self) -> Document:
        """Create a customer and post its first invoice."""
        company = self.company()
        like = self._history.account(company).customer
        customer = parties.add_customer_like(self.books, like, self.when.entered)
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

    def unblocked_partner(self) -> Document:
        """Release a blocked business partner: its data is shown again."""
        blocked = [item for item in self.books.open_items() if self.books.customers[item.customer].blocked]
        if not blocked:
            raise ValueError("no business partner with open items is blocked")
        item = self.rng.choice(blocked)
        business.block(self.books, self.books.customers[item.customer], self.when.entered, blocked=False)
        return item.document

    def replaced_partner(self) -> Document:
        """Replace the business partner of an open invoice's customer; the customer's number stays."""
        item = self.open_invoice()
        customer = self.books.customers[item.customer]
        number = str(980000 + self.books.version % 20000)
        parties.replace_partner(self.books, customer, number, self.when.entered)
        return item.document

    def moved_head_office(self) -> Document:
        """Give the customer of an open invoice a head office: what is posted from now on is owed by that."""
        item = self.open_invoice()
        account = self.books.customers[item.customer].accounts[item.document.company.code]
        head = self._other_account(account).customer
        parties.set_head_office(self.books, account, head, self.when.entered)
        return item.document

    def merged_customer(self) -> Document:
        """Replace a customer by another: what it owes is transferred, it is marked for deletion."""
        item = self.open_invoice()
        account = self.books.customers[item.customer].accounts[item.document.company.code]
        return receipts.merge(self.books, account, self._other_account(account), self.when)

    def _other_account(self, account: Account) -> Account:
        """Draw another account in the company code that is no branch and takes postings."""
        code = account.company.code
        wanted = [
            customer.accounts[code]
            for customer in self.books.customers.values()
            if customer is not account.customer
            and code in customer.accounts
            and not customer.accounts[code].head_office
            and not (customer.blocked or customer.posting_blocked)
        ]
        if not wanted:
            raise ValueError(f"company code {code} has no second customer")
        return self.rng.choice(wanted)


def _reference(item: Item) -> tuple[str, str, str]:
    return item.document.number, item.document.year, str(item.number)


def _referred(item: Item) -> tuple[str, str, str]:
    return item.invoice_reference, item.invoice_reference_year, item.invoice_item_reference


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
    "unnamed_residuals": Desk.unnamed_residual,
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
    "unblocked_partners": Desk.unblocked_partner,
    "replaced_partners": Desk.replaced_partner,
    "moved_head_offices": Desk.moved_head_office,
    "merged_customers": Desk.merged_customer,
    "archivings": Desk.archiving,
}
MIX = {
    "invoices": 38, "instalments": 3, "credit_memos": 6, "payments": 20, "discounts": 3, "partials": 6,
    "residuals": 3, "payments_on_account": 3, "down_payments": 1, "reversals": 3, "cancellations": 1,
    "reissues": 2, "payment_reversals": 2, "partial_reversals": 1, "resets": 2, "due_dates": 2,
    "dunnings": 1, "new_customers": 1, "renamed_partners": 1, "replaced_partners": 1,
    "moved_head_offices": 1, "merged_customers": 1,
}  # fmt: skip
