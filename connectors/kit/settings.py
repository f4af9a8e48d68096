"""What the settings of systems are made of: values with their checks, and the way through a network.

Types and not a class to inherit from, because a setting stands where it matters to the system it belongs to:
forms and help texts list settings in the order of their class.
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field

from connectors.kit.addresses import origin_of
from receivables.errors import Misconfigured
from receivables.money import exponent


def _listed(value: object) -> object:
    """The parts of a text with commas."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _paired(value: object) -> object:
    """The pairs of a text like `RV=invoice,DZ=receipt`."""
    if not isinstance(value, str):
        return value
    pairs = [part.partition("=") for part in value.split(",") if part.strip()]
    if any(not middle for _, middle, _ in pairs):
        raise ValueError("write pairs with = and commas between them, e.g. RV=invoice,DZ=receipt")
    return {name.strip(): kind.strip() for name, _, kind in pairs}


def _once(value: list[str]) -> list[str]:
    twice = sorted({code for code in value if value.count(code) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)} is named twice")
    return value


def _address(value: str) -> str:
    try:
        origin_of(value)
    except Misconfigured as error:
        raise ValueError(str(error)) from None
    if urlsplit(value).query or urlsplit(value).fragment:
        raise ValueError("an address has no ? and no #")
    return value.rstrip("/")


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (LookupError, ValueError, OSError):
        raise ValueError(f"{value[:40]!r} is no IANA time zone, e.g. Europe/Paris") from None
    return value


def iso_4217(value: str) -> str:
    """The currency, if it is one; ValueError otherwise."""
    try:
        exponent(value)
    except LookupError:
        raise ValueError(f"{value[:10]!r} is no ISO 4217 currency") from None
    return value


Listed = BeforeValidator(_listed)  # beside a list: it may be given as text with commas
Paired = BeforeValidator(_paired)  # beside a table: it may be given as text with = and commas
Once = AfterValidator(_once)  # beside a list: nothing is named twice
Address = Annotated[str, AfterValidator(_address)]
Zone = Annotated[str, AfterValidator(_zone)]
Currency = Annotated[str, AfterValidator(iso_4217)]

Zones = Annotated[
    dict[str, Zone],
    Paired,
    Field(
        description="IANA time zones of legal entities, where their days do not end with the tenant's: "
        "1010=Europe/Berlin,1710=America/New_York."
    ),
]
CaBundle = Annotated[str | None, Field(description="File with the certificates of the CA to trust.")]
ClientCertificate = Annotated[str | None, Field(description="File with a client certificate and its key.")]
Proxy = Annotated[Address | None, Field(description="Proxy to go through: http://proxy.example.com:3128.")]
