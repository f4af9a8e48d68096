"""Currencies and the decimals they have: ISO 4217 codes, exponents from CLDR (Babel).

Refuses a code that CLDR does not know: guessing two decimals would be wrong by a factor for JPY and KWD.
"""

from __future__ import annotations

from functools import cache

from babel.numbers import get_currency_precision, is_currency

from receivables.errors import Unreadable


@cache
def exponent(currency: str) -> int:
    """How many decimals this currency has (JPY 0, EUR 2, KWD 3, CLF 4); raises LookupError if unknown."""
    if not (
        len(currency) == ISO_LENGTH and currency.isascii() and currency.isupper() and is_currency(currency)
    ):
        raise LookupError(currency)
    return get_currency_precision(currency)


ISO_LENGTH = 3


def currency(code: str, field: str) -> str:
    """The code if it is an ISO 4217 currency; raises Unreadable `currency_unknown`."""
    try:
        exponent(code)
    except LookupError:
        raise Unreadable(
            "currency_unknown", field, f"{field} {code[:20]!r} is no ISO 4217 currency."
        ) from None
    return code
