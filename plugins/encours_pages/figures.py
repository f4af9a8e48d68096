"""How the console writes amounts, moments and ages: the one place where a number becomes text.

Amounts are exact: a value with more decimals than its currency has is shown with all of them, never
rounded. The ISO code follows the number, zero is "0.00", the minus sign is U+2212.
"""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from decimal import Decimal

from babel.core import Locale
from babel.numbers import NumberPattern, get_currency_precision, parse_pattern

MINUS = "\N{MINUS SIGN}"
PAGE = Locale("en")  # the only language of the pages so far


def amount(value: Decimal, currency: str) -> str:
    """`1,250.00 EUR`: all decimals of the currency (ISO 4217), and more if the value has more."""
    pattern: NumberPattern = parse_pattern("#,##0.00")
    decimals = get_currency_precision(currency)
    pattern.frac_prec = (decimals, decimals)
    number: str = pattern.apply(value, PAGE, decimal_quantization=False)  # quantization would round
    return f"{number.replace('-', MINUS)}\N{NO-BREAK SPACE}{currency}"


def count(value: int) -> str:
    """`86,299`."""
    text: str = parse_pattern("#,##0").apply(value, PAGE)
    return text.replace("-", MINUS)


def moment(at: datetime, now: datetime, zone: tzinfo) -> str:
    """`Today 06:12`, `22 Nov, 06:12`, or `22 Nov 2025, 06:12` of another year, in this zone, 24 hours."""
    local, today = at.astimezone(zone), now.astimezone(zone).date()
    if local.date() == today:
        return f"Today {local:%H:%M}"
    year = "" if local.year == today.year else f" {local.year}"
    return f"{local.day} {MONTHS[local.month - 1]}{year}, {local:%H:%M}"


MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def exact(at: datetime, zone: tzinfo) -> str:
    """`2026-11-22 06:12:09 CET`, for a title."""
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"


def age(length: timedelta) -> str:
    """`40 s`, `12 min`, `2 h 10 min`, `26 h`, `3 d 4 h`: rounded down, minutes only below ten hours."""
    seconds = max(0, int(length.total_seconds()))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if days >= DAYS_FROM:
        return _two(days, "d", hours % 24, "h")
    if hours:
        return _two(hours, "h", minutes % 60 if hours < MINUTES_BELOW else 0, "min")
    return _two(minutes, "min", 0, "") if minutes else _two(seconds, "s", 0, "")


DAYS_FROM = 3
MINUTES_BELOW = 10  # hours


def _two(large: int, unit: str, small: int, subunit: str) -> str:
    words = [str(large), unit, str(small), subunit] if small else [str(large), unit]
    return "\N{NO-BREAK SPACE}".join(words)
