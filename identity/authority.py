"""The authority: lends a connector the power to sign requests of its own origin, and never the secret itself.

Refuses (Denied) a connector without a credential, an address that is not the connector's origin, an address
with user info, and an answer that redirects a signed request to another origin.
"""

from __future__ import annotations

import threading
from typing import Any, Final, TypeAlias
from urllib.parse import urljoin, urlsplit
from uuid import UUID

from requests import PreparedRequest, Response
from requests.auth import AuthBase

from identity.audit import Audit
from identity.credentials import Credentials
from identity.errors import Denied
from identity.kinds import Material
from identity.ports import Clock, Connector, Database, Kms
from identity.vault import Vault

PORTS: Final = {"http": 80, "https": 443}

Origin: TypeAlias = tuple[str, str, int]


class Authority:
    """All that identity offers, wired: `auth`, `credentials` and `audit`; the clock has a zone."""

    def __init__(self, database: Database, kms: Kms, clock: Clock) -> None:
        vault = Vault(kms)
        self.audit = Audit(database, vault, clock)
        self.credentials = Credentials(database, vault, self.audit, clock)

    def auth(self, connector: Connector) -> SigningAuth:
        """Signs requests of `connector.origin` with its credential as it stands now; raises Denied."""
        if connector.credential_id is None:
            raise Denied("no_credential", f"{connector.key} has no credential yet. Give it one, then repeat.")
        content = self.credentials.opened(connector.tenant_id, connector.credential_id)
        return SigningAuth(connector.key, connector.credential_id, connector.origin, content)


class SigningAuth(AuthBase):
    """Signs the requests of one origin and counts them in `uses`; safe to share between threads."""

    def __init__(self, connector: str, credential_id: UUID, origin_url: str, content: Material) -> None:
        self.credential_id = credential_id
        self._connector = connector
        self._origin = _origin(connector, origin_url)
        self._content = content
        self._counting = threading.Lock()
        self._uses = 0

    @property
    def uses(self) -> int:
        """How many requests were signed so far."""
        with self._counting:
            return self._uses

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Signs; raises Denied before anything is added to a request that goes elsewhere."""
        self._refuse_elsewhere(request.url or "")
        # requests forwards an API key's header when it follows a redirect: it must not get that far.
        request.hooks.setdefault("response", []).append(self._refuse_redirect)
        with self._counting:
            self._uses += 1
        return self._content.sign(request)

    def __repr__(self) -> str:
        return f"SigningAuth({self._connector!r}, {_shown(self._origin)!r})"

    def _refuse_redirect(self, response: Response, **_: Any) -> None:
        if response.is_redirect:
            try:
                self._refuse_elsewhere(urljoin(response.url, response.headers["location"]))
            except Denied:
                response.close()
                raise

    def _refuse_elsewhere(self, url: str) -> None:
        target = _origin(self._connector, url)
        if target != self._origin:
            raise Denied(
                "foreign_origin",
                f"{self._connector}: its credential signs requests of {_shown(self._origin)} only, and this "
                f"one goes to {_shown(target)}. If the service has moved, change the connector's address.",
            )


def _origin(connector: str, url: str) -> Origin:
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


def _shown(origin: Origin) -> str:
    scheme, host, port = origin
    name = f"[{host}]" if ":" in host else host
    return f"{scheme}://{name}" if port == PORTS[scheme] else f"{scheme}://{name}:{port}"
