"""Values as the vendor's XML gateway prints and reads them.

Days are `mm/dd/yyyy`, moments `MM/DD/YYYY HH:MM:SS` ([F] recorded answers, [D] parameter formats), decimals
lose their trailing zeros (`4598.4`, `7797`, `0` [F]), booleans are `true` and `false`. It refuses values that
are not of their field's type, with `BadValue`.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any

DAY = "%m/%d/%Y"
MOMENT = "%m/%d/%Y %H:%M:%S"
AMOUNT = re.compile(r"-?\d{1,18}(\.\d{1,18})?")

INTEGER, TEXT, DATE, TIMESTAMP, DECIMAL, BOOLEAN = (
    "INTEGER", "TEXT", "DATE", "TIMESTAMP", "DECIMAL", "BOOLEAN",
)  # fmt: skip


class BadValue(ValueError):
    """A value that is not of its field's type."""


@cache
def day(value: date) -> str:
    """Print a calendar day."""
    return value.strftime(DAY)


def decimal(value: Decimal) -> str:
    """Print a decimal without trailing zeros and without an exponent; zero has no sign."""
    return f"{value.normalize():f}" if value else "0"


def text(value: Any) -> str | None:
    """Print a value; None stays None, which an answer prints as an empty element or leaves out."""
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.strftime(MOMENT)
    if isinstance(value, date):
        return day(value)
    if isinstance(value, Decimal):
        return decimal(value)
    return str(value)


def value(given: str, kind: str) -> Any:
    """Read a value of a filter as one of its field's type.

    Raises:
        BadValue: it is not one.
    """
    try:
        if kind == INTEGER:
            return int(given)
        if kind == DECIMAL:
            if not AMOUNT.fullmatch(given):
                raise BadValue(f"{given} is not an amount")
            return Decimal(given)
        if kind == DATE:
            return datetime.strptime(given, DAY).date()  # noqa: DTZ007 - days have no zone
        if kind == TIMESTAMP:
            return datetime.strptime(given, MOMENT if " " in given else DAY)  # noqa: DTZ007 - nor moments
        if kind == BOOLEAN:
            return {"true": True, "false": False, "T": True, "F": False}[given]
    except (ValueError, InvalidOperation, KeyError) as error:
        raise BadValue(f"{given!r} is not of type {kind}") from error
    return given
