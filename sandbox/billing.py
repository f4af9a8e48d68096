"""Billing documents: the sales side of an invoice, a credit memo or a cancellation, with its tax.

A billing document and its accounting document are written together: what it bills is what the customer owes.
Forms follow the recorded billing document [F], tax codes and classes are customary [K]. It refuses nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sandbox.books import Account, Document, money

EUROPEAN_UNION = ("DE", "FR")
REDUCED = {"DE": Decimal(7), "FR": Decimal("5.5"), "JP": Decimal(8)}
FREE = Decimal(0)
INVOICE, CREDIT_MEMO = "M", "O"
CANCELLATIONS = {INVOICE: "N", CREDIT_MEMO: "S"}
TYPES = {INVOICE: "F2", CREDIT_MEMO: "G2", "N": "S1", "S": "S2"}


@dataclass(frozen=True, slots=True)
class TaxCode:
    """A code of output tax and its rate in percent; `full` is the rate that a reduced one replaces."""

    code: str
    percent: Decimal
    full: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """What is billed under one tax code, in the document's currency; positive in a credit memo as well."""

    net: Decimal
    tax: Decimal
    tax_code: TaxCode


@dataclass(slots=True, eq=False)
class Billing:
    """A billing document; `category` is M invoice, O credit memo, N and S their cancellations [D]."""

    number: str
    category: str
    document: Document
    account: Account
    parts: Sequence[Part]
    cancels: Billing | None = None
    is_cancelled: bool = False
    changed: date | None = None

    @property
    def net(self) -> Decimal:
        """The net amount, positive in every category."""
        return sum((part.net for part in self.parts), Decimal(0))

    @property
    def tax(self) -> Decimal:
        """The tax, positive in every category."""
        return sum((part.tax for part in self.parts), Decimal(0))

    @property
    def payer(self) -> str:
        """The customer that owes: the head office when the customer was a branch."""
        return self.document.items[0].customer


@dataclass(frozen=True, slots=True)
class BilledItem:
    """One item of a billing document: 10, 20, and so on."""

    billing: Billing
    number: int
    part: Part


@dataclass(frozen=True, slots=True)
class Element:
    """One pricing element of an item; class D is a tax, category as recorded [F]."""

    item: BilledItem
    step: int
    condition: str
    calculation: str
    base: Decimal
    rate: Decimal
    amount: Decimal
    currency: str = ""
    quantity: int = 0
    category: str = ""
    condition_class: str = ""
    is_statistical: bool = False
    inactive: str = ""


def divide(account: Account, gross: Decimal, currency: str, number: str) -> list[Part]:
    """Divide a positive gross amount into parts by tax code, in a pattern that the last digit chooses."""
    codes = _tax_codes(account, int(number[-1]))
    share = money(gross / len(codes), currency)
    if not share:
        codes = codes[:1]
    parts, rest = [], gross
    for code in codes:
        part = rest if code is codes[-1] else share
        rest -= part
        net = money(part * 100 / (100 + code.percent), currency)
        parts.append(Part(net, part - net, code))
    return parts


def _tax_codes(account: Account, digit: int) -> list[TaxCode]:
    """Choose from full (A1), reduced (A2) and zero rate (A0), reverse charge (AR) and export (AX)."""
    company, country = account.company, account.customer.country
    if not company.tax_percent:
        return [TaxCode("A0", FREE)]
    if country != company.country:
        inside = country in EUROPEAN_UNION and company.country in EUROPEAN_UNION
        return [TaxCode("AR" if inside else "AX", FREE)]
    full = TaxCode("A1", Decimal(company.tax_percent))
    reduced = TaxCode("A2", REDUCED[country], full.percent)
    zero = TaxCode("A0", FREE)
    return {6: [full, reduced], 7: [full, reduced], 8: [full, reduced, zero], 9: [zero]}.get(digit, [full])


def items(billing: Billing) -> list[BilledItem]:
    """Give the items of a billing document."""
    return [BilledItem(billing, 10 * n, part) for n, part in enumerate(billing.parts, start=1)]


def elements(item: BilledItem) -> list[Element]:
    """Give an item's pricing elements: price, tax, and those that a sum of the tax must leave out.

    UTXJ is a tax for statistics only, the full rate that a reduced one replaces is inactive.
    """
    part, code = item.part, item.part.tax_code
    currency = item.billing.document.currency
    found = [
        Element(
            item, 20, "PPR0", "C", Decimal(1), part.net, part.net,
            currency=currency, quantity=1, condition_class="B",
        ),
        Element(
            item, 850, "UTXJ", "A", part.net, Decimal(100), part.net,
            category="1", condition_class="D", is_statistical=True,
        ),
        Element(item, 870, "MWST", "A", part.net, code.percent, part.tax, category="D", condition_class="D"),
        Element(
            item, 910, "DCD1", "A", part.net + part.tax, FREE, money(FREE, currency),
            category="E", condition_class="A", is_statistical=True,
        ),
    ]  # fmt: skip
    if code.full is not None:
        replaced = money(part.net * code.full / 100, currency)
        found.insert(
            2,
            Element(
                item, 860, "MWST", "A", part.net, code.full, replaced,
                category="D", condition_class="D", inactive="X",
            ),
        )  # fmt: skip
    return found
