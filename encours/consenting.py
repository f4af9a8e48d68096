"""Connecting a service in the name of a person: the connector's credential gets a grant that the person gave.

Refuses a connector that has no credential yet.
"""

from __future__ import annotations

from collections.abc import Sequence

from connectors.kit.addresses import Network
from encours.asking import token_endpoint
from encours.registry import Connector
from encours.translation import translated
from identity.authority import Authority
from identity.consents import Tell
from identity.secret import Secret
from identity.token_rows import Holder
from receivables.errors import Misconfigured


def connect(
    connector: Connector,
    consent: Tell | Secret,
    *,
    authority: Authority,
    networks: Sequence[Network],
    by: str,
) -> None:
    """Keeps a person's consent: a refresh token, or what comes once the code that is told is entered.

    Raises Misconfigured (the person refused, or the code ran out) and Transient (the provider is away).
    """
    endpoint = token_endpoint(connector, authority, networks)
    if connector.credential_id is None or endpoint is None:
        raise Misconfigured(f"{connector.key} has no credential that a person could consent to.")
    holder = Holder(connector.tenant_id, connector.credential_id)
    with translated(connector.key):
        if isinstance(consent, Secret):
            authority.consents.adopt(holder, consent, by=by)
            return
        authority.consents.by_device(holder, endpoint, consent, by=by)
