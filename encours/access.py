"""What the hub lends to a run or a test: a connector's system, and a session that signs without its secret.

Translates what identity refuses while it signs into the hub's own errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID
from zoneinfo import ZoneInfo

import pydantic
from requests import PreparedRequest
from requests.auth import AuthBase

from connectors.kit.http import Post, Session
from connectors.kit.stream import Access, System
from encours.asking import asking
from encours.registry import Connector
from encours.settings import Settings
from encours.systems import settings_of, system_named
from encours.translation import translated
from identity.authority import Authority
from identity.ports import Sign
from identity.signing import OriginAuth

SAID_IN_BODY = (400, 401, 403)  # statuses of a refused sign-in that says why


@dataclass(frozen=True)
class Signed:
    """What identity needs to know of a connector."""

    tenant_id: int
    key: str
    credential_id: UUID | None
    origin: str


class Lent(AuthBase):
    """The authority's power to sign as a session uses it: what it refuses is the hub's own error."""

    def __init__(self, auth: OriginAuth, key: str) -> None:
        self._auth, self._key = auth, key

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Signs; raises Misconfigured and Transient."""
        with translated(self._key):
            return self._auth(request)

    def renew(self, request: PreparedRequest) -> bool:
        """Forgets the session or token that signed this request; see OriginAuth."""
        with translated(self._key):
            return self._auth.renew(request)


class Lending:
    """Lends accesses of one installation's connectors; `clock` gives aware moments, `sleep` pauses."""

    def __init__(
        self,
        settings: Settings,
        authority: Authority,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None],
    ) -> None:
        self._settings = settings
        self._authority = authority
        self._clock = clock
        self._sleep = sleep

    @contextmanager
    def __call__(self, connector: Connector) -> Iterator[tuple[System, Access, OriginAuth | None]]:
        """What a run or a test may use of a connector: its system, and a session that signs if need be."""
        system = system_named(connector.system)
        settings = settings_of(connector.system, connector.settings, connector.key)
        lent = partial(
            Access,
            settings=settings,
            now=self._clock(),
            zone=ZoneInfo(str(getattr(settings, "zone", connector.zone))),
            connector=connector.key,
        )
        origin = system.origin(settings)
        if origin is None:
            yield system, lent(session=None), None
            return
        signed = Signed(connector.tenant_id, connector.key, connector.credential_id, origin)
        with (
            translated(connector.key),
            self._session(signed, settings, attempts=1) as unsigned,
        ):
            auth = self._authority.auth(
                signed,
                exchange=partial(_exchange, unsigned),
                asking=asking(settings, self._settings.private_networks),
                company=getattr(settings, "company_id", None),
                endpoints=[host] if (host := getattr(settings, "endpoint_host", "")) else [],
            )
            with self._session(signed, settings, auth=Lent(auth, connector.key)) as http:
                yield system, lent(session=http), auth

    def _session(
        self, signed: Signed, settings: pydantic.BaseModel, *, auth: AuthBase | None = None, attempts: int = 3
    ) -> Session:
        return Session(
            connector=signed.key,
            origin=signed.origin,
            auth=auth,
            private_networks=self._settings.private_networks,
            ca_bundle=getattr(settings, "ca_bundle", None),
            client_certificate=getattr(settings, "client_certificate", None),
            proxy=getattr(settings, "proxy", None),
            attempts=attempts,
            sleep=self._sleep,
        )


def _exchange(http: Session, url: str, body: bytes, sign: Sign) -> bytes:
    """A sign-in of identity's, sent by a session of the kit's that has nothing to sign with."""
    post = Post(body, "application/xml", readable=SAID_IN_BODY, sign=sign)
    return http.post(url, post, stream="sign in").body
