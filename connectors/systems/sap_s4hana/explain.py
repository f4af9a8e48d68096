"""Names what lies behind a difference: the ledger's documents beside ours, for the customers that differ.

Asks at most 20 times: the ledger's open lines of one customer, or of the whole account where the ledger
knows no customers, summed by document. A difference that is not reached is named by customer without its
documents.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Final

from connectors.kit.failures import NotOffered
from connectors.kit.odata_v2 import all_of, any_of
from connectors.kit.stream import Access, Difference, Explained
from connectors.systems.sap_s4hana import fields
from connectors.systems.sap_s4hana.items import canonical
from connectors.systems.sap_s4hana.services import LEDGER, Source, service
from connectors.systems.sap_s4hana.totals import SET_OF_LINES, STREAM, forms, open_lines, period_end

CUSTOMERS: Final = 18  # requests for lines; what the services offer may have to be asked for again
LINES: Final = 20  # documents named for one customer
NO_CUSTOMER: Final = "no customer: posted to the account"

Ours = Callable[[Difference, date], Iterable[tuple[str, str]]]
SOURCE: Final = Source(
    LEDGER,
    SET_OF_LINES,
    fields.LedgerDocument,
    ("FiscalYear", "AccountingDocument", "TransactionCurrency", "CompanyCodeCurrency"),
)


def explain(access: Access, differences: Sequence[Difference], ours: Ours) -> list[Explained]:
    """The documents behind the differences, customers first; see the module for its limits."""
    parts = [d for d in differences if d.customer is not None]
    parted = {(d.entity, d.account, d.basis, d.currency) for d in parts}
    whole = [
        d
        for d in differences
        if d.customer is None and (d.entity, d.account, d.basis, d.currency) not in parted
    ]
    # A customer differs in both bases for the same reason: document currency names it best.
    documents = {(d.entity, d.account, d.customer) for d in parts if d.basis == "document"}
    told = [d for d in parts if d.basis == "document" or (d.entity, d.account, d.customer) not in documents]
    largest = sorted(told, key=lambda d: -abs(_gap(d)))
    as_of = period_end(access.now.astimezone(access.zone).date())
    budget = _Budget(access, as_of)
    explained: list[Explained] = []
    for difference in largest:
        explained += _documents(budget, difference, ours) or [_unnamed(difference)]
    for difference in whole:
        explained.append(_unnamed(difference))
    return explained


class _Budget:
    """The ledger's documents of a customer in one account, remembered, within the requests allowed."""

    def __init__(self, access: Access, as_of: date) -> None:
        self.as_of = as_of
        self._access = access
        self._left = CUSTOMERS
        self._known: dict[tuple[str, str, str], list[fields.LedgerDocument]] = {}

    def lines(self, entity: str, account: str, customer: str) -> list[fields.LedgerDocument] | None:
        """The open lines by document; None once the requests are used up."""
        place = (entity, account, customer)
        if place not in self._known:
            if self._left <= 0:
                return None
            self._left -= 1
            condition = all_of(
                open_lines(self._access, entity, self.as_of),
                any_of("GLAccount", forms(account)),
                any_of("Customer", forms(customer)) if customer else "Customer eq ''",
            )
            query = SOURCE.query(self._access, condition, stream=STREAM)
            listed = service(self._access, LEDGER).first(
                query, stream=STREAM, rows=self._access.settings.page_size
            )
            if listed.next is not None or (listed.count or 0) > len(listed.rows):
                return None  # more documents than one answer holds: named by customer only
            self._known[place] = list(SOURCE.decoded(self._access, listed.rows, stream=STREAM))
        return self._known[place]


def _documents(budget: _Budget, difference: Difference, ours: Ours) -> list[Explained]:
    """The documents that differ, largest first; empty where the ledger does not name them."""
    customer = difference.customer or ""
    try:
        lines = budget.lines(difference.entity, difference.account, customer)
    except NotOffered:
        return []
    if lines is None:
        return []
    theirs: dict[str, Decimal] = defaultdict(Decimal)
    for line in lines:
        currency, amount = (
            (line.transaction_currency, line.amount_in_transaction_currency)
            if difference.basis == "document"
            else (line.company_code_currency, line.amount_in_company_code_currency)
        )
        if currency == difference.currency:
            name = f"{canonical(line.accounting_document, 'AccountingDocument')}/{line.fiscal_year}"
            theirs[name] += Decimal(amount)
    held: dict[str, Decimal] = defaultdict(Decimal)
    for name, amount in ours(replace(difference, customer=customer), budget.as_of):
        held[name] += Decimal(amount)
    gaps = {name: theirs[name] - held[name] for name in {*theirs, *held} if theirs[name] != held[name]}
    named = sorted(gaps, key=lambda name: (-abs(gaps[name]), name))[:LINES]
    return [_line(difference, name, theirs.get(name), held.get(name), gaps[name]) for name in named]


def _line(
    difference: Difference, document: str, theirs: Decimal | None, held: Decimal | None, gap: Decimal
) -> Explained:
    of, number = difference.currency, document.partition("/")[0]
    if held is None:
        sentence = f"Document {number} ({theirs:f} {of}) is in the ledger and not in the items read."
    elif theirs is None:
        sentence = f"Document {number} ({held:f} {of}) is in the items read and not open in the ledger."
    else:
        sentence = f"Document {number}: the ledger says {theirs:f} {of}, the items read sum to {held:f} {of}."
    return _explained(difference, document, gap, sentence)


def _unnamed(difference: Difference) -> Explained:
    gap = _gap(difference)
    of = difference.currency
    sentence = f"The ledger says {difference.erp} {of}, the items read sum to {difference.hub} {of}."
    return _explained(difference, None, gap, sentence)


def _explained(difference: Difference, document: str | None, gap: Decimal, sentence: str) -> Explained:
    customer = difference.customer
    who = NO_CUSTOMER if customer == "" else f"customer {customer}" if customer else "the whole account"
    where = f"Company code {difference.entity}, account {difference.account}, {who}: "
    return Explained(
        entity=difference.entity,
        account=difference.account,
        currency=difference.currency,
        customer=customer,
        document=document,
        difference=f"{gap:f}",
        sentence=where + sentence,
    )


def _gap(difference: Difference) -> Decimal:
    return Decimal(difference.erp) - Decimal(difference.hub)
