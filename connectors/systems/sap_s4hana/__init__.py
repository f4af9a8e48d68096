"""SAP S/4HANA, on its OData V2 services: customers, accounting items, and control totals from its ledger.

Interface sheet: fields, signs, change detection and what is not verified. Reads only. Works with a
communication user; refuses a service whose amounts do not name their currency.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import Final

import pydantic

from connectors.kit.addresses import origin_of
from connectors.kit.stream import Access, Adapter, Check, Difference, Explained, Slice
from connectors.systems.sap_s4hana import checks, customers, entities, explain, items, plan, totals
from connectors.systems.sap_s4hana.settings import Settings as SapSettings
from receivables.records import ControlTotal


class SapS4Hana:
    """What the hub asks of a system (connectors.kit.stream.System), answered for SAP S/4HANA."""

    name: str = "sap_s4hana"
    title: str = "SAP S/4HANA"
    version: str = "2"
    credential: str = "basic"
    Settings: type[pydantic.BaseModel] = SapSettings
    adapters: Mapping[str, Callable[[Access], Adapter]] = MappingProxyType(
        {
            "legal_entities": lambda access: entities.CompanyCodes(access.settings),
            "customers": lambda _: customers.Customers(),
            "items": lambda access: items.Items(access.settings, _today(access)),
            "short_items": lambda access: items.ShortItems(access.settings, _today(access)),
        }
    )

    def erp(self, settings: SapSettings) -> tuple[str, int]:
        """SAP is protected by host: `max_parallel` runs read it at once."""
        return f"{self.name} {origin_of(settings.base_url)}", settings.max_parallel

    def origin(self, settings: SapSettings) -> str:
        """Scheme, host and port of the SAP system."""
        return origin_of(settings.base_url)

    def plan(self, access: Access, bookmarks: Mapping[str, str], *, sweep: bool) -> Sequence[Slice]:
        """See plan.plan."""
        return plan.plan(access, bookmarks, sweep=sweep)

    def totals(self, access: Access, accounts: Sequence[tuple[str, str]]) -> Sequence[ControlTotal]:
        """See totals.totals."""
        return totals.totals(access, accounts)

    def documents(self, access: Access, keys: Sequence[tuple[str, str, str]]) -> Slice:
        """See plan.documents."""
        return plan.documents(access, keys)

    def customers(self, access: Access, keys: Sequence[tuple[str, str]]) -> Slice:
        """See customers.by_number."""
        return customers.by_number(access, keys)

    def explain(
        self, access: Access, differences: Sequence[Difference], ours: explain.Ours
    ) -> Sequence[Explained]:
        """See explain.explain."""
        return explain.explain(access, differences, ours)

    def test(self, access: Access) -> Iterator[Check]:
        """See checks.test."""
        return checks.test(access)


def _today(access: Access) -> date:
    return access.now.astimezone(access.zone).date()


SYSTEM: Final = SapS4Hana()
