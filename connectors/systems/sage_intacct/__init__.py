"""Sage Intacct, on its XML gateway: customers, documents, receipts, allocations, and totals from its ledger.

Interface sheet: fields, signs, change detection and what is not verified. Reads only. Signs in with a
sender's pair and a user's; one run reads a company at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import Final

import pydantic

from connectors.kit import xml_rows
from connectors.kit.addresses import origin_of
from connectors.kit.stream import (
    Access,
    Adapted,
    Adapter,
    Capabilities,
    Check,
    Difference,
    Explained,
    Row,
    Slice,
)
from connectors.kit.sweeping import Sweep
from connectors.systems.sage_intacct import (
    allocations,
    checks,
    customers,
    deletions,
    documents,
    entities,
    explain,
    payments,
    plan,
    totals,
)
from connectors.systems.sage_intacct.settings import Settings as IntacctSettings
from receivables.records import ControlTotal

CAPABILITIES: Final = Capabilities(
    modes=("snapshot", "delta", "sweep"),
    changes="By WHENMODIFIED, ten minutes before the bookmark, and without one; once an hour two hours back "
    "as well, for what was committed late. What changed payment details name is read too, and what is "
    "published under a customer's number that changed. The sweep reads all that is open.",
    deletes="AUDITHISTORY tells every run what was deleted: it closes if a read by key does not find it. "
    "What a sweep does not show and a read by key does not find closes if the ledger agrees only without it; "
    "else it is a suspect, and stays open.",
    grade="ledger",
    totals="get_accountbalances of every receivables and advances account, on the day, in base currency; of "
    "each customer the sum of the ledger's entries (GLDETAIL).",
    allocations="Stated, by payment details: one for each source of money. The exchange difference is the "
    "worth at the payment's rate less that at the invoice's.",
    unseen=(
        "Private entities, unless the user may see them.",
        "A due date or terms changed without moving WHENMODIFIED, before the next sweep.",
    ),
)


def _documents(access: Access) -> documents.Documents:
    return documents.Documents(access.settings, _today(access))


def _receipts(access: Access) -> payments.Receipts:
    return payments.Receipts(access.settings, _today(access))


def _shown(access: Access) -> Adapter:
    """Adapts pages of documents or of receipts, whatever was asked for by key, and that they were shown."""
    of_documents, of_receipts = _documents(access), _receipts(access)

    def adapt(rows: Sequence[Row]) -> Adapted:
        of_money = bool(rows) and xml_rows.name_of(bytes(rows[0])) == payments.JOIN
        return of_receipts(rows) if of_money else of_documents(rows)

    return Sweep(adapt, cleared=True)


def _today(access: Access) -> date:
    return access.now.astimezone(access.zone).date()


class SageIntacct:
    """What the hub asks of a system (connectors.kit.stream.System), answered for Sage Intacct."""

    name: str = "sage_intacct"
    title: str = "Sage Intacct"
    version: str = "2"
    credentials: Sequence[str] = ("intacct",)
    billing: None = None
    capabilities: Capabilities = CAPABILITIES
    absent_is_deleted: bool = True  # or hidden from the user: the ledger tells these apart
    Settings: type[pydantic.BaseModel] = IntacctSettings
    adapters: Mapping[str, Callable[[Access], Adapter]] = MappingProxyType(
        {
            "legal_entities": lambda access: entities.Entities(access.settings),
            "customers": lambda _: customers.Customers(),
            "documents": _documents,
            "receipts": _receipts,
            "allocations": lambda access: allocations.Allocations(access.settings, _today(access)),
            "deletions": lambda _: deletions.Deletions(),
            "shown": _shown,
            "swept_documents": lambda access: Sweep(_documents(access)),
            "swept_receipts": lambda access: Sweep(_receipts(access)),
        }
    )

    def erp(self, settings: IntacctSettings) -> tuple[str, int]:
        """Intacct limits by company: `max_parallel` runs read it at once."""
        return f"{self.name} {settings.company_id}", settings.max_parallel

    def origin(self, settings: IntacctSettings) -> str:
        """Scheme, host and port of the gateway that sign-ins go to."""
        return origin_of(settings.base_url)

    def plan(self, access: Access, bookmarks: Mapping[str, str], *, sweep: bool) -> Sequence[Slice]:
        """See plan.plan."""
        return plan.plan(access, bookmarks, sweep=sweep)

    def period(self, access: Access, first: date, following: date) -> Sequence[Slice]:  # noqa: ARG002
        """See plan.period."""
        return plan.period(first, following)

    def totals(self, access: Access, accounts: Sequence[tuple[str, str]]) -> Sequence[ControlTotal]:
        """See totals.totals."""
        return totals.totals(access, accounts)

    def documents(self, access: Access, keys: Sequence[tuple[str, str, str]]) -> Slice:
        """See plan.asked_documents."""
        return plan.asked_documents(access, keys)

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


SYSTEM: Final = SageIntacct()
