"""What it costs to sign one request: a password by requests itself, a password and a token by the authority.

Wall-clock time of the call that signs, in milliseconds; every request is prepared beforehand and signed once.
The token is one that is held and good, as it is for all requests of a run but the first.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import requests
from requests import PreparedRequest
from requests.auth import HTTPBasicAuth
from rich.table import Table

from identity.bearer import OAuthAuth
from identity.kinds import Basic
from identity.secret import Secret
from identity.signing import SigningAuth
from identity.token_rows import token_of

ORIGIN: Final = "https://erp.example"
REQUESTS: Final = 20_000
FLOOR: Final = "requests, password"
CREDENTIAL: Final = UUID(int=1)

Sign = Callable[[PreparedRequest], PreparedRequest]


def signers() -> Mapping[str, Sign]:
    """Each way to sign, by its title; the first is the floor."""
    now = datetime.now(UTC)
    token = token_of(CREDENTIAL, Secret("t" * 1_200), now, now + timedelta(days=1))
    password = SigningAuth("bench", CREDENTIAL, ORIGIN, Basic("ENCOURS", Secret("p" * 32)))
    bearer = OAuthAuth("bench", CREDENTIAL, ORIGIN, current=lambda _: token, clock=lambda: datetime.now(UTC))
    return {
        FLOOR: HTTPBasicAuth("ENCOURS", "p" * 32),
        "authority, password": password,
        "authority, token held": bearer,
    }


def milliseconds(sign: Sign, count: int = REQUESTS) -> float:
    """The mean over `count` requests."""
    prepared = requests.Request("GET", f"{ORIGIN}/sap/opu/odata/sap/API/Set?$top=1000").prepare()
    waiting = [prepared.copy() for _ in range(count)]
    began = time.perf_counter()
    for request in waiting:
        sign(request)
    return (time.perf_counter() - began) * 1000 / count


def measured(rounds: int, count: int = REQUESTS) -> Mapping[str, Sequence[float]]:
    """The milliseconds of each way to sign, once a round, in turn."""
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        for title, sign in signers().items():
            found.setdefault(title, []).append(milliseconds(sign, count))
    return found


def table(found: Mapping[str, Sequence[float]]) -> Table:
    """The medians, and how many times the floor each is."""
    shown = Table(title="signing one request, medians")
    for heading in ("who", "ms", "times the floor"):
        shown.add_column(heading, justify="left" if heading == "who" else "right")
    floor = statistics.median(found[FLOOR])
    for title, several in found.items():
        median = statistics.median(several)
        shown.add_row(title, f"{median:.4f}", f"{median / floor:.1f}")
    return shown
