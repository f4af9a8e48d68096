"""Signing requests of one origin: what all kinds of credential share, and secrets that stand in a header.

Refuses (Denied) an address that is not the connector's origin, an address with user info, and an answer that
redirects a signed request to another origin.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Final, TypeAlias
from urllib.parse import urljoin, urlsplit
from uuid import UUID

from requests import PreparedRequest, Response
from requests.auth import AuthBase

from identity.errors import Denied
from identity.kinds import Signing

PORTS: Final = {"http": 80, "https": 443}

Origin: TypeAlias = tuple[str, str, int]


class OriginAuth(AuthBase, ABC):
    """Signs the requests of one origin and counts them in `uses`; safe to share between threads."""

    def __init__(self, connector: str, credential_id: UUID, origin_url: str) -> None:
        self.credential_id = credential_id
        self._connector = connector
        self._origin = origin(connector, origin_url)
        self._counting = threading.Lock()
        self._uses = 0

    @property
    def uses(self) -> int:
        """How many requests were signed so far."""
        with self._counting:
            return self._uses

    @property
    def tokens(self) -> Mapping[UUID, int]:
        """How many requests each token has signed so far, by its id; empty for kinds that have no tokens."""
        return {}

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Signs; raises Denied before anything is added to a request that goes elsewhere."""
        self._refuse_elsewhere(request.url or "")
        signed = self._sign(request)
        # requests forwards an API key's header when it follows a redirect: it must not get that far.
        signed.hooks.setdefault("response", []).append(self._refuse_redirect)
        self._count()
        return signed

    def renew(self, request: PreparedRequest) -> bool:  # noqa: ARG002  # for kinds that have sessions
        """Replaces the session or token that signed this request and is refused; False: there is none."""
        return False

    @abstractmethod
    def _sign(self, request: PreparedRequest) -> PreparedRequest:
        """Puts the secret into a request of our origin."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._connector!r}, {shown(self._origin)!r})"

    def _count(self) -> None:
        with self._counting:
            self._uses += 1

    def _refuse_redirect(self, response: Response, **_: Any) -> None:
        if response.is_redirect:
            try:
                self._refuse_elsewhere(urljoin(response.url, response.headers["location"]))
            except Denied:
                response.close()
                raise

    def _refuse_elsewhere(self, url: str) -> None:
        target = origin(self._connector, url)
        if target != self._origin:
            raise Denied(
                "foreign_origin",
                f"{self._connector}: its credential signs requests of {shown(self._origin)} only, and this "
                f"one goes to {shown(target)}. If the service has moved, change the connector's address.",
            )


class SigningAuth(OriginAuth):
    """Signs with a secret that stands in a header."""

    def __init__(self, connector: str, credential_id: UUID, origin_url: str, content: Signing) -> None:
        super().__init__(connector, credential_id, origin_url)
        self._content = content

    def _sign(self, request: PreparedRequest) -> PreparedRequest:
        return self._content.sign(request)


def origin(connector: str, url: str) -> Origin:
    """Scheme, host and port of an address (RFC 6454), read with the parser that requests connects with."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Denied("invalid_address", f"{connector}: a request's address cannot be read.") from None
    if parts.scheme not in PORTS or not parts.hostname:
        raise Denied("invalid_address", f"{connector}: an address must begin with https:// and a host name.")
    if "@" in parts.netloc:
        raise Denied(
            "invalid_address", f"{connector}: an address holds a user name or a password. Take it out."
        )
    return parts.scheme, parts.hostname, port or PORTS[parts.scheme]


def shown(place: Origin) -> str:
    """The origin as an address without what is usual."""
    scheme, host, port = place
    name = f"[{host}]" if ":" in host else host
    return f"{scheme}://{name}" if port == PORTS[scheme] else f"{scheme}://{name}:{port}"
