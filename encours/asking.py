"""How token providers are asked: at checked addresses only, as the connector's settings say.

Identity does not know the networks of this installation: here it is lent the way there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import pydantic

from connectors.kit.addresses import Network
from encours.registry import Connector
from encours.transport import transport
from identity.asking import Asking
from identity.authority import Authority
from identity.errors import IdentityError
from identity.token_rows import Holder


def asking(settings: pydantic.BaseModel, networks: Sequence[Network]) -> Asking:
    """The way to a token provider; the file of the settings' client certificate holds the key as well."""
    certificate = getattr(settings, "client_certificate", None)
    return Asking(
        transport(networks),
        ca_bundle=getattr(settings, "ca_bundle", None),
        client_certificate=(certificate, certificate) if certificate else None,
        proxy=getattr(settings, "proxy", None),
    )


def keep_alive(
    authority: Authority, links: Sequence[tuple[Connector, str, Asking]], now: datetime
) -> Iterator[tuple[Connector, IdentityError | None]]:
    """Renews the grants of these connectors (each with its origin and the way to its provider) that lie idle.

    Gives a connector of each that was due, with what hindered its renewal.
    """
    by_holder = {
        Holder(connector.tenant_id, connector.credential_id): (connector, authority.asker(way, origin))
        for connector, origin, way in links
        if connector.credential_id is not None
    }
    tenants = sorted({holder.tenant_id for holder in by_holder})
    asked = authority.tokens.keep_alive(
        tenants, now, lambda holder: by_holder[holder][1] if holder in by_holder else None
    )
    for holder, error in asked:
        yield by_holder[holder][0], error
