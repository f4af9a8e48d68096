"""Amounts, days, keys and texts: exact and canonical, or Unreadable; nothing in between."""

from __future__ import annotations

import unicodedata
from contextlib import suppress
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receivables.errors import Unreadable
from receivables.money import exponent
from receivables.values import Days, amount, key, text_or_none

CURRENCIES = {"JPY": 0, "EUR": 2, "KWD": 3, "CLF": 4}


@pytest.mark.parametrize(
    ("written", "currency", "value"),
    [
        ("600.00", "EUR", "600.00"), ("-120.00", "EUR", "-120.00"), ("12", "EUR", "12.00"), ("12.5", "EUR", "12.50"),
        ("12500.000", "JPY", "12500"), ("12500", "JPY", "12500"), ("1.500", "KWD", "1.500"), ("1.5", "CLF", "1.5000"),
        ("1e3", "EUR", "1000.00"), ("1.25E+2", "EUR", "125.00"), ("1250e-2", "EUR", "12.50"), ("-0.00", "EUR", "0.00"),
        ("-0", "JPY", "0"), ("007.50", "EUR", "7.50"), ("999999999999999999.99", "EUR", "999999999999999999.99"),
    ],
)  # fmt: skip
def test_amounts_get_the_decimals_of_their_currency(written: str, currency: str, value: str) -> None:
    assert [amount(written, currency, "Amount") for _ in range(2)] == [value, value]


@pytest.mark.parametrize(
    ("written", "currency", "code"),
    [
        ("12.345", "EUR", "amount_scale"), ("0.5", "JPY", "amount_scale"), ("1e-3", "EUR", "amount_scale"),
        ("NaN", "EUR", "amount_form"), ("Infinity", "EUR", "amount_form"), ("", "EUR", "amount_form"),
        ("12.50-", "EUR", "amount_form"), ("+1", "EUR", "amount_form"), ("1,000.00", "EUR", "amount_form"),
        (" 1.00", "EUR", "amount_form"), ("1.00\n", "EUR", "amount_form"), ("\u0661.00", "EUR", "amount_form"),
        ("1234567890123456789", "JPY", "amount_form"), ("1e18", "JPY", "amount_size"), ("1e99", "EUR", "amount_size"),
        (None, "EUR", "amount_missing"), ("1.00", "EUX", "currency_unknown"), ("1.00", "eur", "currency_unknown"),
        ("1.00", "", "currency_unknown"),
    ],
)  # fmt: skip
def test_other_amounts_are_unreadable(written: str | None, currency: str, code: str) -> None:
    with pytest.raises(Unreadable) as caught:
        amount(written, currency, "AmountInTransactionCurrency")
    assert (caught.value.code, caught.value.field) == (code, "AmountInTransactionCurrency")


@given(st.sampled_from(sorted(CURRENCIES)), st.integers(-(10**18) + 1, 10**18 - 1))
def test_every_exact_amount_is_read_as_itself(currency: str, minor: int) -> None:
    value = Decimal(minor).scaleb(-CURRENCIES[currency])
    read = amount(format(value, "f"), currency, "Amount")
    assert Decimal(read) == value
    assert len(read.partition(".")[2]) == CURRENCIES[currency] == exponent(currency)
    assert amount(read, currency, "Amount") == read


@given(
    st.text(alphabet="0123456789.-+eE NaInf٣", max_size=44) | st.text(), st.sampled_from(sorted(CURRENCIES))
)
def test_whatever_is_read_equals_what_was_written(written: str, currency: str) -> None:
    with suppress(Unreadable):
        assert Decimal(amount(written, currency, "Amount")) == Decimal(written)


def test_days_are_in_the_calendar_and_in_range() -> None:
    days = Days(date(2024, 2, 29))
    for good in ("1990-01-01", "2026-01-15", "2034-02-28", "2024-02-29"):
        assert [days(good, "Day"), days(good, "Day")] == [good, good]
    for bad, code in {
        "2026-02-30": "day_form", "0000-00-00": "day_form", "00000000": "day_form", "20260115": "day_form",
        "2026-W03-4": "day_form", "2026-01-15T00:00:00": "day_form", "": "day_missing", None: "day_missing",
        "1989-12-31": "day_range", "2034-03-01": "day_range", "9999-12-31": "day_range",
    }.items():  # fmt: skip
        with pytest.raises(Unreadable) as caught:
            days(bad, "NetDueDate")
        assert (caught.value.code, caught.value.field) == (code, "NetDueDate")


@given(st.dates())
def test_days_accept_exactly_the_range(day: date) -> None:
    today = date(2026, 11, 24)
    inside = date(1990, 1, 1) <= day <= date(2036, 11, 24)
    if inside:
        assert Days(today)(day.isoformat(), "Day") == day.isoformat()
    else:
        with pytest.raises(Unreadable):
            Days(today)(day.isoformat(), "Day")
    assert Days(today)((today + timedelta(1)).isoformat(), "Day") == "2026-11-25"


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("", "key_missing"), (None, "key_missing"), ("x" * 256, "key_length"), ("a\tb", "key_character"),
        ("a\x00", "key_character"), ("a\x85", "key_character"), ("\ud800", "key_character"),
        ("a\u202eb", "key_character"), ("e\u0301", "key_form"),
    ],
)  # fmt: skip
def test_keys_are_read(written: str | None, code: str) -> None:
    with pytest.raises(Unreadable) as caught:
        key(written, "Customer")
    assert caught.value.code == code
    assert str(caught.value).isprintable()


def test_keys_are_kept_as_they_are() -> None:
    for good in ("1800000012", "x" * 255, "Müller/7", "得意先 1"):
        assert key(good, "Customer") == good


@given(st.text())
def test_texts_are_the_same_text_composed(written: str) -> None:
    read = None
    with suppress(Unreadable):
        read = text_or_none(written, "Text") or ""
    if read is None:
        assert any(unicodedata.category(c) in {"Cc", "Cs", "Cf"} for c in written)
    else:
        assert read == unicodedata.normalize("NFC", written)
        assert "\x00" not in written


def test_texts_are_refused_or_none() -> None:
    assert text_or_none("", "Text") is None
    assert text_or_none(None, "Text") is None
    assert text_or_none("line\nline\ttab\r", "Text") == "line\nline\ttab\r"
    for bad, code in (
        ("a\x00", "text_character"),
        ("a\u202eb", "text_character"),
        ("x" * 100_001, "text_length"),
    ):
        with pytest.raises(Unreadable) as caught:
            text_or_none(bad, "Text")
        assert caught.value.code == code
