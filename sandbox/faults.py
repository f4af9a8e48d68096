"""Seeded faults: ways in which what a user sees differs from the books, each switched on and off at run time.

All but one change the view only; `manual_journal` posts into the journal without an item. Every fault says
what it did: company code, account, customer, currency, and the rows' difference from the ledger (rows -
ledger). It refuses fault names it does not know and a fault for which the books hold no fitting item.
"""

from __future__ import annotations

import copy
from bisect import insort
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from operator import attrgetter
from random import Random
from typing import Any

from sandbox.billing import Billing
from sandbox.books import Books, Company, Customer, Document, Item, Line
from sandbox.business import RANGES, TRADE
from sandbox.parties import KEY_ACCOUNTS
from sandbox.receipts import DISCOUNT_GRANTED

ITEM_KEY = attrgetter("key")


class UnknownFault(ValueError):
    """No fault of that name."""


@dataclass
class Fault:
    """One fault that is on: what it hides, replaces and adds, and what it did in words for machines."""

    name: str
    did: list[dict[str, Any]] = field(default_factory=list)
    hidden: set[Item] = field(default_factory=set)
    replaced: dict[Item, Item] = field(default_factory=dict)
    added: list[Item] = field(default_factory=list)
    customers: set[str] = field(default_factory=set)
    masters: set[str] = field(default_factory=set)
    companies: set[str] = field(default_factory=set)
    lines: list[Line] = field(default_factory=list)


class View:
    """What the communication user sees of the books."""

    def __init__(self, books: Books, seed: int) -> None:
        self.books = books
        self.version = 0
        self.faults: dict[str, Fault] = {}
        self._seed = seed
        self._items: tuple[tuple[int, int], list[Item]] | None = None
        self._ordered: list[Item] = []

    def switch(
        self, name: str, *, on: bool, company_code: str | None = None, customer: str | None = None
    ) -> Fault:
        """Switch a fault on or off; switched on twice it stays as it was.

        Raises:
            UnknownFault: the name is not one of FAULTS.
            ValueError: nothing in the books fits, or the company code is not there.
        """
        if name not in FAULTS:
            raise UnknownFault(f"no fault {name!r}: choose from {', '.join(FAULTS)}")
        self.version += 1
        if not on:
            fault = self.faults.pop(name, Fault(name))
            for line in fault.lines:
                self.books.strike(line)
            self.books.moments.end()
            return fault
        if name not in self.faults:
            pick = Pick(self.books, Random(f"{name} {self._seed}"), company_code, customer)
            self.faults[name] = FAULTS[name](pick)
            for line in self.faults[name].lines:
                self.books.write(line)
            self.books.moments.end()
        return self.faults[name]

    def shows_company(self, code: str) -> bool:
        """Say whether the user has rights for the company code."""
        return not any(code in fault.companies for fault in self.faults.values())

    def companies(self) -> list[Company]:
        """Give the company codes that the user may see."""
        return [company for company in self.books.companies.values() if self.shows_company(company.code)]

    def customers(self) -> list[Customer]:
        """Give the customers that the user may see."""
        hidden = self._hidden_customers() | {n for fault in self.faults.values() for n in fault.masters}
        return [customer for customer in self.books.customers.values() if customer.number not in hidden]

    def _hidden_customers(self) -> set[str]:
        return {number for fault in self.faults.values() for number in fault.customers}

    def _hidden_partners(self) -> set[str]:
        """Give the customers whose transactions are not shown: hidden ones and blocked partners."""
        return self._hidden_customers() | {c.number for c in self.books.customers.values() if c.blocked}

    def items(self) -> Sequence[Item]:
        """Give the items that the user may see, in the order of their keys."""
        version = (self.books.version, self.version)
        if self._items is None or self._items[0] != version:
            self._items = (version, self._visible_items())
        return self._items[1]

    def _visible_items(self) -> list[Item]:
        faults = list(self.faults.values())
        hidden = {item for fault in faults for item in fault.hidden}
        replaced = {old: new for fault in faults for old, new in fault.replaced.items()}
        added = [item for fault in faults for item in fault.added]
        customers = self._hidden_partners()
        companies = set(self.companies())
        for item in self.books.items[len(self._ordered) :]:  # sorting all after every posting takes too long
            insort(self._ordered, item, key=ITEM_KEY)
        shown = [
            item
            for item in (*self._ordered, *added)
            if item.customer not in customers
            and item.document.company in companies
            and not item.document.archived
        ]
        if not (hidden or replaced or added):
            return shown
        changed = [replaced.get(item, item) for item in shown if item not in hidden]
        return sorted(changed, key=ITEM_KEY)

    def billings(self, numbers: Collection[str] | None = None) -> list[Billing]:
        """Give the billing documents that the user may see, or those of the numbers, in their order."""
        billings = self.books.billings
        wanted = sorted(billings if numbers is None else billings.keys() & numbers)
        hidden = self._hidden_partners()
        return [
            billing
            for billing in map(billings.__getitem__, wanted)
            if billing.payer not in hidden and self.shows_company(billing.document.company.code)
        ]

    def lines(self) -> list[Line]:
        """Give the journal's lines of the company codes that the user may see."""
        return [line for line in self.books.lines() if self.shows_company(line.document.company.code)]


@dataclass
class Pick:
    """The books, a seeded choice, and what the caller asked for."""

    books: Books
    rng: Random
    company_code: str | None
    customer: str | None

    def company(self) -> Company:
        """Give the company code asked for, or draw one."""
        if self.company_code is not None and self.company_code not in self.books.companies:
            raise ValueError(f"no company code {self.company_code}")
        code = self.company_code or self.rng.choice(sorted(self.books.companies))
        return self.books.companies[code]

    def invoices(self) -> list[Item]:
        """Give the open invoices of one company code that are posted up to today."""
        company = self.company()
        found = [
            item
            for item in self.books.open_items(company)
            if item.document.posting_date <= self.books.today
            and item.amount > 0
            and not item.special_gl
            and self.customer in (None, item.customer)
        ]
        if not found:
            raise ValueError(f"company code {company.code} has no fitting open invoice")
        return found


def _effect(item: Item, factor: int) -> dict[str, Any]:
    """Say how far the rows are from the ledger: the item's amount times `factor`."""
    document = item.document
    return {
        "company_code": document.company.code,
        "account": item.account,
        "customer": item.customer,
        "fiscal_year": document.year,
        "document": document.number,
        "item": str(item.number),
        "currency": document.currency,
        "amount": f"{item.amount * factor:f}",
        "company_currency": document.company.currency,
        "company_amount": f"{item.company_amount * factor:f}",
    }


def _row_hidden(pick: Pick) -> Fault:
    item = pick.rng.choice(pick.invoices())
    return Fault("row_hidden", [_effect(item, -1)], hidden={item})


def _row_doubled(pick: Pick) -> Fault:
    item = pick.rng.choice(pick.invoices())
    twin = copy.copy(item)
    twin.number = item.number + 100
    return Fault("row_doubled", [_effect(item, 1)], added=[twin])


def _wrong_sign(pick: Pick) -> Fault:
    """Negate an invoice, with posting key and debit/credit code, so that only the ledger can tell."""
    item = pick.rng.choice(pick.invoices())
    wrong = copy.copy(item)
    wrong.amount, wrong.company_amount, wrong.posting_key = -item.amount, -item.company_amount, "11"
    return Fault("wrong_sign", [_effect(item, -2)], replaced={item: wrong})


def _cancelling_errors(pick: Pick) -> Fault:
    """Move an amount from one customer's item to another's: the account's sum stays right."""
    groups: dict[tuple[str, str], list[Item]] = defaultdict(list)
    for item in pick.invoices():
        if item.document.currency == item.document.company.currency:
            groups[item.account, item.document.currency].append(item)
    items = max(groups.values(), key=len)
    first = pick.rng.choice(items)
    second = pick.rng.choice([item for item in items if item.customer != first.customer])
    fault = Fault("cancelling_errors")
    shift = (min(first.amount, second.amount) / 2).quantize(first.amount)
    for item, change in ((first, shift), (second, -shift)):
        moved = copy.copy(item)
        moved.amount += change
        moved.company_amount += change
        fault.replaced[item] = moved
        fault.did.append({**_effect(item, 1), "amount": f"{change:f}", "company_amount": f"{change:f}"})
    return fault


def _manual_journal(pick: Pick) -> Fault:
    """Post on the control account without a customer, in the journal only."""
    company = pick.company()
    day = pick.books.today
    amount = Decimal(pick.rng.randint(1000, 99999)).scaleb({"EUR": -2, "KWD": -3}.get(company.currency, 0))
    number = pick.books.next_number(company, str(day.year), RANGES["SA"])
    document = Document(company, str(day.year), number, "SA", day, day, day, "PT08H00M00S", company.currency)
    lines = [
        Line(document, 1, TRADE, "S", "", "", amount, amount),
        Line(document, 2, DISCOUNT_GRANTED, "S", "", "", -amount, -amount),
    ]
    did = {
        "company_code": company.code, "account": TRADE, "customer": "", "fiscal_year": document.year,
        "document": number, "item": "1", "currency": company.currency, "amount": f"{-amount:f}",
        "company_currency": company.currency, "company_amount": f"{-amount:f}",
    }  # fmt: skip
    return Fault("manual_journal", [did], lines=lines)


def _hide(name: str, books: Books, customers: set[str]) -> Fault:
    """Hide customers and their items; say what each one's open items sum to, by account and currency."""
    sums: dict[tuple[str, str, str, str], list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    for item in books.open_items():
        if item.customer in customers:
            pair = sums[item.document.company.code, item.account, item.customer, item.document.currency]
            pair[0] -= item.amount
            pair[1] -= item.company_amount
    did = [
        {
            "company_code": code, "account": account, "customer": customer, "currency": currency,
            "amount": f"{amount:f}", "company_currency": books.companies[code].currency,
            "company_amount": f"{company_amount:f}",
        }
        for (code, account, customer, currency), (amount, company_amount) in sorted(sums.items())
    ]  # fmt: skip
    return Fault(name, did, customers=customers)


def _account_group_hidden(pick: Pick) -> Fault:
    members = {
        customer.number for customer in pick.books.customers.values() if customer.group == KEY_ACCOUNTS
    }
    return _hide("account_group_hidden", pick.books, members)


def _partner_blocked(pick: Pick) -> Fault:
    """Let one customer's data disappear, as with a blocked business partner [D, sister views]."""
    return _hide("partner_blocked", pick.books, {pick.rng.choice(pick.invoices()).customer})


def _master_hidden(pick: Pick) -> Fault:
    """Hide one customer's master data and show its items: the rows still agree with the ledger."""
    item = pick.rng.choice(pick.invoices())
    return Fault("master_hidden", [_effect(item, 0)], masters={item.customer})


def _company_code_without_rights(pick: Pick) -> Fault:
    code = pick.company_code or max(pick.books.companies)
    return Fault("company_code_without_rights", [{"company_code": code}], companies={code})


FAULTS: dict[str, Callable[[Pick], Fault]] = {
    "row_hidden": _row_hidden,
    "row_doubled": _row_doubled,
    "wrong_sign": _wrong_sign,
    "cancelling_errors": _cancelling_errors,
    "manual_journal": _manual_journal,
    "account_group_hidden": _account_group_hidden,
    "partner_blocked": _partner_blocked,
    "master_hidden": _master_hidden,
    "company_code_without_rights": _company_code_without_rights,
}
