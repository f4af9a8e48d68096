"""How token providers are asked: at checked addresses only, as the connector's settings say.

Identity does not know the networks of this installation: here it is lent the way there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import pydantic

from connectors.kit.addresses import Network
from encours.registry import Connector
from encours.systems import settings_of, system_named
from encours.transport import transport
from identity.asking import Asking
from identity.authority import Authority
from identity.errors import Denied, IdentityError
from identity.token_endpoint import TokenEndpoint
from identity.token_rows import Holder
from receivables.errors import Misconfigured


def asking(settings: pydantic.BaseModel, networks: Sequence[Network]) -> Asking:
    """The way to a token provider; the file of the settings' client certificate holds the key as well."""
    certificate = getattr(settings, "client_certificate", None)
    return Asking(
        transport(networks),
        ca_bundle=getattr(settings, "ca_bundle", None),
        client_certificate=(certificate, certificate) if certificate else None,
        proxy=getattr(settings, "proxy", None),
    )


def token_endpoint(
    connector: Connector, authority: Authority, networks: Sequence[Network]
) -> TokenEndpoint | None:
    """Where a connector's tokens come from; None: its system is not reached over a network.

    Raises Misconfigured for settings that are wrong.
    """
    settings = settings_of(connector.system, connector.settings, connector.key)
    origin = system_named(connector.system).origin(settings)
    return None if origin is None else authority.asker(asking(settings, networks), origin)


def keep_alive(
    connectors: Sequence[Connector], authority: Authority, networks: Sequence[Network], now: datetime
) -> Iterator[tuple[Connector, IdentityError | None]]:
    """Renews the grants of these connectors that lie idle.

    Gives a connector of each that was due, with what hindered its renewal; others are renewed all the same.
    """
    by_holder = {
        Holder(connector.tenant_id, connector.credential_id): connector
        for connector in connectors
        if connector.credential_id is not None
    }

    def way(holder: Holder) -> TokenEndpoint | None:
        connector = by_holder.get(holder)
        try:
            return None if connector is None else token_endpoint(connector, authority, networks)
        except Misconfigured as error:
            raise Denied("misconfigured", str(error)) from error

    tenants = sorted({holder.tenant_id for holder in by_holder})
    for holder, error in authority.tokens.keep_alive(tenants, now, way):
        yield by_holder[holder], error
