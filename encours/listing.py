"""Rejects, runs and waivers of one connector or of several, newest first, as people look for them.

Refuses ids and numbers that nothing has.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from encours.registry import Connector
from receivables.errors import Misconfigured
from receivables.store import RejectRow, RunRow, Store, Waiver


def rejects(connectors: Sequence[Connector], store: Store, state: str | None) -> list[RejectRow]:
    """Rejects in this state, or in any."""
    found = chain.from_iterable(
        store.rejects(c.tenant_id, c.connector_id, c.key, state=state) for c in connectors
    )
    return sorted(found, key=lambda reject: reject.last_seen, reverse=True)


def reject(connectors: Sequence[Connector], store: Store, reject_id: int) -> RejectRow:
    """The reject of this id, in any state; raises Misconfigured if there is none."""
    for c in connectors:
        for found in store.rejects(c.tenant_id, c.connector_id, c.key, state=None, reject_id=reject_id):
            return found
    raise Misconfigured(f"There is no reject {reject_id}. The open ones: encours rejects list.")


def runs(
    connectors: Sequence[Connector], store: Store, state: str | None, limit: int
) -> list[tuple[str, RunRow]]:
    """The latest runs, at most so many of each connector, each with its key."""
    found = [
        (c.key, run)
        for c in connectors
        for run in store.runs(c.tenant_id, c.connector_id, state=state, limit=limit)
    ]
    return sorted(found, key=lambda one: one[1].opened_at, reverse=True)


def run(connector: Connector, store: Store, number: int) -> RunRow:
    """The run of this number; raises Misconfigured if there is none."""
    for found in store.runs(connector.tenant_id, connector.connector_id, number=number):
        return found
    raise Misconfigured(f"{connector.key} has no run {number}. Its latest: encours runs list {connector.key}")


def waivers(connectors: Sequence[Connector], store: Store) -> list[Waiver]:
    """Every waiver, also those that are over."""
    found = chain.from_iterable(store.waivers(c.tenant_id, c.connector_id, c.key) for c in connectors)
    return sorted(found, key=lambda waiver: waiver.made_at, reverse=True)
