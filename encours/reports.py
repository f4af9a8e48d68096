"""Ageing and statements of one connector or of all, as of the end of a day in the tenant's or company's zone.

Of all connectors, those that published nothing by that day are left out; where that leaves none, the first
one's error is raised. Refuses days to come: nobody knows what will be visible then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

from encours.registry import Connector
from receivables.errors import Misconfigured
from receivables.store import Ageing, By, Statement, Store, View

Report = TypeVar("Report")


def ageing(
    connectors: Sequence[Connector], store: Store, day: date | None, by: By, now: datetime
) -> list[Ageing]:
    """One ageing per connector; `day` None is today. Raises Misconfigured as the module says."""
    return _of_each(connectors, lambda connector: store.ageing(_view(store, connector, day, now), by))


def statement(
    connectors: Sequence[Connector], store: Store, customer: str, day: date | None, now: datetime
) -> list[Statement]:
    """One statement per connector that knew the customer by that day; Misconfigured if none did."""
    found = _of_each(
        connectors, lambda connector: store.statement(_view(store, connector, day, now), customer)
    )
    known = [one for one in found if one is not None]
    if not known:
        where = ", ".join(connector.key for connector in connectors)
        by_then = f"by the end of {day}" if day else "yet"
        raise Misconfigured(
            f"No customer {customer} was published {by_then} ({where}). "
            "Write the number as the ERP prints it. The numbers: encours ageing --by customer"
        )
    return known


def _of_each(connectors: Sequence[Connector], report: Callable[[Connector], Report]) -> list[Report]:
    found: list[Report] = []
    errors: list[Misconfigured] = []
    for connector in connectors:
        try:
            found.append(report(connector))
        except Misconfigured as error:
            errors.append(error)
    if errors and not found:
        raise errors[0]
    return found


def _view(store: Store, connector: Connector, day: date | None, now: datetime) -> View:
    """Without a day all is seen that is published by now, wherever it is tomorrow already."""
    zone = ZoneInfo(connector.zone)
    today = now.astimezone(zone).date()
    if day is not None and day > today:
        raise Misconfigured(f"{connector.key}: {day} is still to come in {zone}; choose {today} or before.")
    place = connector.tenant_id, connector.connector_id
    return View(*place, connector.key, day or today, zone, store.zones(*place) if day else {})
