"""Values as the vendor's OData V2 services print them.

Source: recorded V2 answers and samples [F]: calendar days as `/Date(ms)/` at 00:00 UTC, times as
`PT20H17M07S`, decimals as strings in the scale of their currency, no value as null. It refuses types that
no served set has.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

EPOCH = date(1970, 1, 1)


@cache
def day(value: date | None) -> str | None:
    """Print a calendar day as Edm.DateTime."""
    return None if value is None else f"/Date({(value - EPOCH) // timedelta(milliseconds=1)})/"


@cache
def moment(value: date | None) -> str | None:
    """Print a day at midnight UTC as Edm.DateTimeOffset."""
    return None if value is None else f"/Date({(value - EPOCH) // timedelta(milliseconds=1)}+0000)/"


def decimal(value: Decimal | None) -> str | None:
    """Print a decimal as a string, never with an exponent."""
    return None if value is None else f"{value:f}"


PRINTERS: dict[str, Callable[[Any], Any] | None] = {  # None: printed as it is
    "Edm.String": None,
    "Edm.Boolean": None,
    "Edm.Guid": None,
    "Edm.Time": None,
    "Edm.DateTime": day,
    "Edm.DateTimeOffset": moment,
    "Edm.Decimal": decimal,
}
