"""Which network addresses a connector may reach, checked at the moment of connecting.

Link-local and cloud metadata addresses never; loopback and private ranges only those allowed; plain http only
inside allowed private ranges. The address that was checked is the one connected to, so that a name which
resolves differently the second time (DNS rebinding) gains nothing. Through a proxy, the proxy resolves the
name and only the proxy's address is checked.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NameResolutionError, NewConnectionError

from connectors.kit.failures import shown
from receivables.errors import Misconfigured

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

NEVER: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "169.254.0.0/16",
        "fe80::/10",
        "fd00:ec2::254/128",
        "100.100.100.200/32",
        "0.0.0.0/8",
        "::/128",
    )
)
TRANSLATED = ip_network("64:ff9b::/96")  # NAT64, RFC 6052: the last 32 bits are the IPv4 address


def origin_of(url: str) -> str:
    """Scheme, host and port of an http(s) address in one form (RFC 6454); Misconfigured for any other."""
    try:
        parts = urlsplit(url)
        port = parts.port
        (parts.hostname or "").encode("idna")  # as it will be looked up: of a..b the resolver is not asked
    except ValueError:
        raise Misconfigured(f"{shown(url)} is not an address.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise Misconfigured(
            f"{shown(url)}: an address begins with https:// (http:// in private networks), names a host, and "
            "holds no user name or password."
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port or (443 if parts.scheme == 'https' else 80)}"


def embedded(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one that only wraps it (mapped, 6to4, NAT64), else itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in TRANSLATED:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def check(host: str, address: Address, *, secure: bool, allowed: Sequence[Network]) -> None:
    """Raises Misconfigured when this address of the host must not be connected to."""
    real = embedded(address)
    if any(real in network for network in NEVER) or real.is_multicast or real.is_unspecified:
        raise Misconfigured(
            f"{host} resolves to {real}, an address that no connector may reach. Check its address."
        )
    private = not real.is_global
    if private and not any(real in network for network in allowed):
        raise Misconfigured(
            f"{host} resolves to {real}, a private address. If it is yours, list its network in "
            f"ENCOURS_PRIVATE_NETWORKS (for this one: {real}/{real.max_prefixlen})."
        )
    if not (secure or private):
        raise Misconfigured(f"{host} is not in a private network: its address must begin with https://.")


def connect(connection: HTTPConnection, *, secure: bool, allowed: Sequence[Network]) -> socket.socket:
    """Resolves the connection's host, checks every address and connects to one of those checked."""
    host = connection._dns_host  # noqa: SLF001  # the name to resolve, as urllib3 itself reads it
    try:
        found = socket.getaddrinfo(host, connection.port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise NameResolutionError(connection.host, connection, error) from error
    for *_, where in found:
        check(connection.host, ip_address(str(where[0]).partition("%")[0]), secure=secure, allowed=allowed)
    failure: OSError = OSError("no address")
    for family, kind, protocol, _, where in found:
        opened = socket.socket(family, kind, protocol)
        try:
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            opened.settimeout(connection.timeout if isinstance(connection.timeout, int | float) else None)
            opened.connect(where)
        except OSError as error:
            opened.close()
            failure = error
        else:
            return opened
    if isinstance(failure, TimeoutError):
        raise urllib3.exceptions.ConnectTimeoutError(
            connection, f"{connection.host} did not answer"
        ) from failure
    raise NewConnectionError(connection, str(failure)) from failure


class CheckedAdapter(HTTPAdapter):
    """A transport for `requests` whose connections go to checked addresses only."""

    def __init__(self, allowed: Sequence[Network], **options: Any) -> None:
        self._allowed = tuple(allowed)
        super().__init__(**options)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Gives urllib3 connection classes that check."""
        super().init_poolmanager(*args, **options)
        allowed = self._allowed

        class Plain(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                return connect(self, secure=False, allowed=allowed)

        class Secure(HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                return connect(self, secure=True, allowed=allowed)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
