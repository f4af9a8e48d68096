"""Amounts of Intacct's rows: an exact pair, in the currency of the document and in that of the company.

Intacct rounds to two decimals whatever the currency; `.00` after yen is accepted, cents are not. Refuses a
row whose currency nobody names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Final

from receivables.errors import Unreadable
from receivables.values import amount

Row = Mapping[str, str]
EXACT: Final = Context(prec=100)  # products and quotients of amounts before they are rounded
RATE: Final = re.compile(r"\d{1,12}(\.\d{1,18})?")


@dataclass(frozen=True)
class Currencies:
    """What the amounts of one row are in."""

    document: str
    company: str

    @classmethod
    def of(cls, row: Row, default: str) -> Currencies:
        """Those of the row; in a company of one currency rows may name none."""
        company = row.get("BASECURR") or default or row.get("CURRENCY", "")
        document = row.get("CURRENCY") or company
        if not document:
            raise Unreadable(
                "currency_missing", "CURRENCY", "CURRENCY is empty. Set `base_currency` of the connector."
            )
        return cls(document, company)

    def pair(self, row: Row, document: str, company: str) -> tuple[str, str]:
        """The amounts of two fields; where both currencies are one, one field may stand for both."""
        first, second = row.get(document), row.get(company)
        if self.document == self.company:
            first, second = first or second, second or first
        return amount(first, self.document, document), amount(second, self.company, company)

    def zero(self) -> tuple[str, str]:
        """Nothing, in both."""
        return amount("0", self.document, ""), amount("0", self.company, "")


def rate(text: str | None, field: str) -> str | None:
    """Company currency for one unit of the document's, as printed; None where there is none."""
    if not text:
        return None
    if not RATE.fullmatch(text) or not text.strip("0."):
        raise Unreadable("rate_form", field, f"{field} {text[:40]!a} is no exchange rate.")
    return text


def plus(text: str, other: str) -> str:
    """The exact sum of two amounts of one currency."""
    return format(Decimal(text) + Decimal(other), "f")


def share(whole: str, part: str, of: str) -> str:
    """What `part` is worth where `of`, which is not zero, is worth `whole`; rounded as `whole` is."""
    worth = EXACT.divide(EXACT.multiply(Decimal(whole), Decimal(part)), Decimal(of))
    return format(worth.quantize(Decimal(whole), ROUND_HALF_UP, EXACT), "f")


def minus(text: str) -> str:
    """The amount with the other sign."""
    return format(-Decimal(text) if Decimal(text) else abs(Decimal(text)), "f")


def size(text: str) -> str:
    """The amount without its sign."""
    return text.removeprefix("-")


def is_zero(text: str) -> bool:
    """Whether an amount is nothing."""
    return not text.strip("-0.")


def sign(text: str) -> int:
    """-1, 0 or 1."""
    return 0 if is_zero(text) else -1 if text.startswith("-") else 1
