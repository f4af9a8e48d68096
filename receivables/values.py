"""Checks that adapters put every value through: amounts, days, keys and texts, each exact or Unreadable.

They run millions of times: the usual form is recognised by one pattern and given back as it is, anything else
takes the long way. Refuses NaN, Infinity, more decimals than the currency has, days out of range, control
characters, lone surrogates and bidirectional overrides. Source: design, "What other systems send us".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import date
from decimal import Context, Decimal, Inexact

from receivables.errors import Unreadable
from receivables.money import currency as known_currency
from receivables.money import exponent

DIGITS = 18  # before the point, and after it
AMOUNT = re.compile(r"-?([0-9]{1,18})(?:\.([0-9]{1,18}))?(?:[eE][+-]?[0-9]{1,2})?")
KEY_LENGTH = 255
TEXT_LENGTH = 100_000
EXACT = Context(prec=3 * DIGITS, traps=[Inexact])  # refuses to round
FIRST_DAY = date(1990, 1, 1)
YEARS_AHEAD = 10
SHOWN = 40  # characters of a bad value in a message

BIDI = "\u202a-\u202e\u2066-\u2069"
NOT_IN_TEXT = re.compile(f"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff{BIDI}]")
NOT_IN_KEY = re.compile(f"[\x00-\x1f\x7f-\x9f\ud800-\udfff{BIDI}]")

_usual: dict[str, Callable[[str], object]] = {}  # per currency: does the text have exactly its decimals?


def amount(text: str | None, currency: str, field: str) -> str:
    """The amount with exactly the decimals of its ISO 4217 currency: `12500.000` JPY is `12500`.

    Raises Unreadable: amount_missing, amount_form (not `-?digits(.digits)?(e..)?`), amount_size (more than
    18 digits before the point), amount_scale (EUR 12.345), currency_unknown.
    """
    if text is None:
        raise Unreadable("amount_missing", field, f"{field} is empty; an amount is expected.")
    usual = _usual.get(currency)
    if usual is not None and usual(text):
        return text
    return _unusual_amount(text, currency, field)


def _unusual_amount(text: str, currency: str, field: str) -> str:
    decimals = exponent(known_currency(currency, field))
    if currency not in _usual:
        fraction = rf"\.[0-9]{{{decimals}}}" if decimals else ""
        _usual[currency] = re.compile(rf"(?!-[0.]*\Z)-?(?:0|[1-9][0-9]{{0,17}}){fraction}").fullmatch
    if not AMOUNT.fullmatch(text):
        raise Unreadable("amount_form", field, f"{field} {_shown(text)} is no amount.")
    value = Decimal(text)
    if value and value.adjusted() >= DIGITS:
        raise Unreadable("amount_size", field, f"{field} {_shown(text)} has more than {DIGITS} digits.")
    try:
        exact = value.quantize(Decimal((0, (1,), -decimals)), context=EXACT)
    except Inexact:
        raise Unreadable(
            "amount_scale",
            field,
            f"{field} {_shown(text)} has more decimals than {currency}, which has {decimals}.",
        ) from None
    return format(abs(exact) if exact.is_zero() else exact, "f")


class Days:
    """Checks days, as ISO text, against the range that a run started on `today` accepts."""

    def __init__(self, today: date) -> None:
        leap_day = (today.month, today.day) == (2, 29)
        self._last = today.replace(year=today.year + YEARS_AHEAD, day=28 if leap_day else today.day)
        self._known: set[str] = set()

    def __call__(self, text: str | None, field: str) -> str:
        """The day, `2026-01-15`, if it is in the calendar and from 1990-01-01 to today in ten years.

        Raises Unreadable: day_missing, day_form (30 February too), day_range.
        """
        if text in self._known:
            return text
        if not text:
            raise Unreadable("day_missing", field, f"{field} is empty; a day is expected.")
        try:
            day = date.fromisoformat(text)
        except ValueError:
            day = None
        if day is None or day.isoformat() != text:
            raise Unreadable("day_form", field, f"{field} {_shown(text)} is no day of the calendar.")
        if not FIRST_DAY <= day <= self._last:
            raise Unreadable(
                "day_range", field, f"{field} {text} is not between {FIRST_DAY} and {self._last}."
            )
        self._known.add(text)
        return text


def key(text: str | None, field: str) -> str:
    """A part of a key, unchanged: 1 to 255 characters, composed (Unicode's NFC), none of them a control.

    Raises Unreadable: key_missing, key_length, key_character, key_form (not NFC: two spellings of one key).
    """
    if not text:
        raise Unreadable("key_missing", field, f"{field} is empty; it is part of the key.")
    if len(text) > KEY_LENGTH:
        raise Unreadable(
            "key_length", field, f"{field} {_shown(text)} has more than {KEY_LENGTH} characters."
        )
    if text.isascii() and text.isprintable():
        return text
    if NOT_IN_KEY.search(text):
        raise Unreadable(
            "key_character", field, f"{field} {_shown(text)} has a character that no key may have."
        )
    if not unicodedata.is_normalized("NFC", text):
        raise Unreadable(
            "key_form", field, f"{field} {_shown(text)} is not in Unicode's composed form (NFC)."
        )
    return text


def text_or_none(text: str | None, field: str) -> str | None:
    """A text in Unicode's composed form (NFC), or None where there is none: at most 100,000 characters.

    Raises Unreadable: text_length, text_character.
    """
    if not text:
        return None
    if len(text) > TEXT_LENGTH:
        raise Unreadable(
            "text_length", field, f"{field} has {len(text)} characters, more than {TEXT_LENGTH}."
        )
    if text.isascii() and text.isprintable():
        return text
    if NOT_IN_TEXT.search(text):
        raise Unreadable(
            "text_character", field, f"{field} {_shown(text)} has a character that no text may have."
        )
    return unicodedata.normalize("NFC", text)


def _shown(text: str) -> str:
    """A bad value for a message: short, quoted, with nothing unprintable."""
    return ascii(text if len(text) <= SHOWN else text[:SHOWN] + "...")
