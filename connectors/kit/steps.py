"""Steps of a connector's test that are the same for every system: the name, TLS, and how a step is told.

Writes nothing. A step that fails says what to do.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from connectors.kit.stream import Access, Check
from receivables.errors import HubError, Misconfigured

TLS_SECONDS: Final = 10.0
SOON: Final = 21  # days before a certificate's end at which the test says so

Step = tuple[str, Callable[[], str]]


def checked(name: str, step: Callable[[], str]) -> Check:
    """The outcome of one step and how long it took."""
    began = time.monotonic()
    try:
        sentence, ok = step(), True
    except HubError as error:
        sentence, ok = str(error), False
    return Check(name, ok, sentence, round((time.monotonic() - began) * 1000))


def of_the_way(access: Access) -> list[Step]:
    """The steps up to the sign-in: the name, and TLS where it is spoken without a proxy."""
    steps: list[Step] = [("Name", lambda: _name(access))]
    if access.settings.base_url.startswith("https://") and not access.settings.proxy:
        steps.append(("TLS", lambda: _tls(access)))
    return steps


def _name(access: Access) -> str:
    """The host resolves; with a proxy, the proxy's host is what must."""
    address = urlsplit(access.settings.proxy or access.settings.base_url)
    try:
        found = socket.getaddrinfo(address.hostname, address.port or 443, type=socket.SOCK_STREAM)
    except OSError:
        raise Misconfigured(f"{address.hostname} is not known. Check the name and your DNS.") from None
    return f"{address.hostname} is {', '.join(sorted({str(where[0]) for *_, where in found}))}."


def _tls(access: Access) -> str:
    """The certificate is valid, and until when."""
    access.http.reach(stream="TLS")
    address = urlsplit(access.settings.base_url)
    host, port = str(address.hostname), address.port or 443
    context = ssl.create_default_context(cafile=access.settings.ca_bundle)
    try:
        with (
            socket.create_connection((host, port), TLS_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host) as secure,
        ):
            ends = str((secure.getpeercert() or {}).get("notAfter", ""))
            version = secure.version()
    except (OSError, ValueError):
        raise Misconfigured(f"{host} does not complete a TLS handshake.") from None
    until = datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC)
    days = (until - access.now).days
    soon = f" It ends in {days} days: have it renewed." if days < SOON else ""
    return f"{version}, certificate valid until {until:%Y-%m-%d}.{soon}"
