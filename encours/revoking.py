"""Ending a token: the connectors that sign with its credential are paused, then its provider is told.

In this order, so that no run asks for another one in between. Refuses a connector that has no tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.kit.addresses import Network
from encours.asking import token_endpoint
from encours.registry import Connector, Registry
from encours.translation import translated
from identity.authority import Authority
from identity.token_rows import Holder
from receivables.errors import Misconfigured


@dataclass(frozen=True)
class Revoked:
    """What was done: which connectors are paused now, and what became of the token."""

    paused: Sequence[str]
    sentence: str


def revoke(
    connector: Connector,
    reason: str,
    *,
    registry: Registry,
    authority: Authority,
    networks: Sequence[Network],
    by: str,
) -> Revoked:
    """Ends the token of this connector's credential.

    Raises Misconfigured and Transient where the provider is in the way; the connectors are paused even so.
    """
    endpoint = token_endpoint(connector, authority, networks)
    if connector.credential_id is None or endpoint is None:
        raise _no_token(connector)
    if not reason.strip():
        raise Misconfigured(f"{connector.key}: say why its token is revoked.")
    paused = []
    for each in signing(connector, registry):
        if each.state != "paused":
            why = f"its token was revoked: {reason}"
            registry.change(each, state="paused", paused_reason=why, changed_by=by)
            paused.append(each.key)
    with translated(connector.key):
        told = authority.revocation.revoke(
            Holder(connector.tenant_id, connector.credential_id), endpoint.revoke, by=by, reason=reason
        )
    return Revoked(paused, SENTENCES[told])


def signing(connector: Connector, registry: Registry) -> list[Connector]:
    """The connectors that sign with this one's credential, itself among them; raises Misconfigured."""
    if connector.credential_id is None:
        raise _no_token(connector)
    return [each for each in registry.connectors() if each.credential_id == connector.credential_id]


def _no_token(connector: Connector) -> Misconfigured:
    return Misconfigured(f"{connector.key} has no credential, so it has no token.")


SENTENCES = {
    True: "The token is revoked at its provider and forgotten here.",
    False: "The token is forgotten here. Its provider offers no revocation: it ends there by itself.",
    None: "There was no token.",
}
