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
from connectors.kit.stream import Access, Adapter, Capabilities, Check, Difference, Explained, Slice
from connectors.kit.sweeping import Sweep
from connectors.systems.sap_s4hana import (
    billing,
    checks,
    customers,
    entities,
    explain,
    items,
    plan,
    totals,
)
from connectors.systems.sap_s4hana.settings import Settings as SapSettings
from receivables.records import ControlTotal

CAPABILITIES: Final = Capabilities(
    modes=("snapshot", "delta", "sweep"),
    changes="Three deltas a company code, by day of entry, of clearing and of change, each a whole local day "
    "before its bookmark; the sweep reads all open items.",
    deletes="SAP never deletes a posting. What a sweep does not show is a suspect and read by key: it closes "
    "if that shows it cleared, or if a second sweep does not show it either and the ledger agrees only "
    "without it; else it stays open.",
    grade="ledger",
    totals="The trial balance at the end of the fiscal period, in company currency; the G/L line items in "
    "document currency and by customer.",
    allocations="Not stated: worked out from clearings and from payments that name their item.",
    taxes="Net and tax by tax code and rate, of documents that SD has invoiced.",
    unseen=(
        "The reset of a clearing, a dunning level, or a row without days, before the next sweep.",
        "Items of blocked partners and of company codes without rights, which are missing without an error.",
        "Items cleared before `history_months`.",
        "Into whom a customer was merged: no service says it, only the documents that transfer what it owed.",
        "The cash discount of a payment that was reversed: its receipt shows the customer's whole line.",
        "The credit limit, which is in none of the services.",
        "Net and tax of documents that were entered in accounting, without a billing document.",
        "Currencies with four decimals: the services print three.",
    ),
)


class SapS4Hana:
    """What the hub asks of a system (connectors.kit.stream.System), answered for SAP S/4HANA."""

    name: str = "sap_s4hana"
    title: str = "SAP S/4HANA"
    version: str = "3"
    credentials: Sequence[str] = ("basic", "oauth")
    capabilities: Capabilities = CAPABILITIES
    absent_is_deleted: bool = False  # it is archived, or hidden from the user
    Settings: type[pydantic.BaseModel] = SapSettings
    adapters: Mapping[str, Callable[[Access], Adapter]] = MappingProxyType(
        {
            "legal_entities": lambda access: entities.CompanyCodes(access.settings),
            "customers": lambda _: customers.Customers(),
            "items": lambda access: items.Items(access.settings, _today(access)),
            "billing_documents": lambda _: billing.BillingDocuments(),
            "shown_items": lambda access: Sweep(items.Items(access.settings, _today(access)), cleared=True),
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

    def period(self, access: Access, first: date, following: date) -> Sequence[Slice]:
        """See plan.period."""
        return plan.period(access, first, following)

    def totals(self, access: Access, accounts: Sequence[tuple[str, str]]) -> Sequence[ControlTotal]:
        """See totals.totals."""
        return totals.totals(access, accounts)

    def documents(self, access: Access, keys: Sequence[tuple[str, str, str]]) -> Slice:
        """See plan.documents."""
        return plan.documents(access, keys)

    def customers(self, access: Access, keys: Sequence[tuple[str, str]]) -> Slice:
        """See customers.by_number."""
        return customers.by_number(access, keys)

    def billing(self, access: Access, keys: Sequence[tuple[str, str]]) -> Slice:
        """See billing.by_number."""
        return billing.by_number(access, keys)

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
