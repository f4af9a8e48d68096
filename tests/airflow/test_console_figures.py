"""Amounts, moments and ages as the console writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.encours_pages import figures

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
PARIS = ZoneInfo("Europe/Paris")


@pytest.mark.parametrize(
    ("value", "currency", "text"),
    [
        ("1250", "EUR", "1,250.00 EUR"),
        ("0", "EUR", "0.00 EUR"),
        ("0.000000", "EUR", "0.00 EUR"),
        ("-1250.5", "EUR", "\N{MINUS SIGN}1,250.50 EUR"),
        ("12500", "JPY", "12,500 JPY"),
        ("1.25", "KWD", "1.250 KWD"),
        ("12.345", "EUR", "12.345 EUR"),
        ("1250.500000", "EUR", "1,250.50 EUR"),
        ("12.5", "JPY", "12.5 JPY"),
        ("1E+3", "EUR", "1,000.00 EUR"),
        ("123456789012345678.99", "EUR", "123,456,789,012,345,678.99 EUR"),
    ],
)
def test_an_amount_has_its_currencys_decimals_and_its_code_behind(
    value: str, currency: str, text: str
) -> None:
    assert figures.amount(Decimal(value), currency).replace("\N{NO-BREAK SPACE}", " ") == text


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**15), max_value=10**15))
def test_an_amount_is_never_rounded(value: Decimal) -> None:
    text = figures.amount(value, "EUR").removesuffix("\N{NO-BREAK SPACE}EUR")
    assert Decimal(text.replace(",", "").replace(figures.MINUS, "-")) == value


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (datetime(2026, 11, 23, 5, 12, tzinfo=UTC), "Today 06:12"),
        (datetime(2026, 11, 22, 23, 30, tzinfo=UTC), "Today 00:30"),
        (datetime(2026, 11, 22, 22, 30, tzinfo=UTC), "22 Nov, 23:30"),
        (datetime(2025, 12, 31, 5, 12, tzinfo=UTC), "31 Dec 2025, 06:12"),
    ],
)
def test_a_moment_is_written_in_the_readers_zone(at: datetime, text: str) -> None:
    assert figures.moment(at, NOW, PARIS) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (-5, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (7_800, "2 h 10 min"),
        (7_200, "2 h"),
        (26 * 3600 + 700, "26 h"),
        (76 * 3600, "3 d 4 h"),
        (30 * 86400, "30 d"),
    ],
)
def test_an_age_has_two_units_at_most(seconds: int, text: str) -> None:
    assert figures.age(timedelta(seconds=seconds)).replace("\N{NO-BREAK SPACE}", " ") == text
