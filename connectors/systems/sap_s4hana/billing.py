"""Billing documents: net, tax and gross of what SD has invoiced, and which of them were cancelled.

Read are those that items name and nobody knows yet, by number, and those that were created or changed since
the bookmark's day minus one. A raw row is the join of a header with its tax conditions as JSON: under each
set's name the properties that are read, as received. Where the service is not offered nothing is read, and
the run says so. Amounts may be printed without the sign of a credit: the ledger's document has it. Source:
interface sheet, sections 2, 5 and 6; that taxes are the active conditions of class D is not verified.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Final

import msgspec

from connectors.kit.failures import NotOffered
from connectors.kit.odata_v2 import Query, all_of, any_of, day, text
from connectors.kit.stream import Access, Adapted, Page, Row, Slice
from connectors.systems.sap_s4hana import fields
from connectors.systems.sap_s4hana.items import canonical
from connectors.systems.sap_s4hana.services import BILLING_DOCUMENT, TAX_CONDITION, service
from receivables.errors import Unreadable
from receivables.money import currency
from receivables.records import BillingDocument
from receivables.values import amount, key

STREAM: Final = "billing_documents"
NUMBERS_OF_A_RANGE: Final = 1000
NUMBERS_OF_ONE_REQUEST: Final = 30
SPARSE: Final = 3  # a range may hold so many times the documents that are wanted of it
TAXES: Final = "ConditionClass eq 'D'"
PERCENTAGE: Final = "A"  # calculation type of a condition
RATE: Final = re.compile(r"[0-9]{1,6}(\.[0-9]{1,18})?")
NOT_OFFERED: Final = (
    f"{BILLING_DOCUMENT.service} is not offered to the user, so documents have no net and no tax. Give the "
    "user the service (communication scenario SAP_COM_0120 on Cloud), or set `billing` to false."
)


class Joined(msgspec.Struct, kw_only=True, frozen=True):
    """A raw row: a billing document's header and the tax conditions of its items."""

    header: fields.BillingDocument = msgspec.field(name="A_BillingDocument")
    taxes: tuple[fields.TaxCondition, ...] = msgspec.field(name="A_BillingDocumentItemPrcgElmnt")


# -- reading -----------------------------------------------------------------------------------------------


def bookmark_name(code: str) -> str:
    """The bookmark of a company code's billing documents."""
    return f"{STREAM}/{code}"


def changed(code: str, since: date, today: date) -> Slice:
    """What was created or changed since that day: LastChangeDate is empty until the first change."""
    moved = f"(CreationDate ge {day(since)} or LastChangeDate ge {day(since)})"
    pages = partial(_changed_pages, condition=all_of(f"CompanyCode eq {text(code)}", moved))
    name = bookmark_name(code)
    return Slice(STREAM, name, pages, STREAM, bookmark=name, reached=today.isoformat())


def by_number(access: Access, keys: Sequence[tuple[str, str]]) -> Slice:
    """These billing documents (company code, number); none where the settings leave them out."""
    numbers = sorted({number for _, number in keys}) if access.settings.billing else []
    name = f"{STREAM}/by-key/{access.now.isoformat()}/{'/'.join(keys[0])}"
    return Slice(STREAM, name, partial(_pages_of, numbers=numbers), STREAM)


def count(access: Access) -> int:
    """How many billing documents of the company codes are shown; NotOffered where the service is not."""
    of_codes = any_of("CompanyCode", access.settings.company_codes)
    BILLING_DOCUMENT.query(access, stream=STREAM)
    TAX_CONDITION.query(access, stream=STREAM)
    asked = Query(BILLING_DOCUMENT.entity_set, (), of_codes)
    return service(access, BILLING_DOCUMENT.service).count(asked, stream=STREAM)


def _changed_pages(access: Access, condition: str) -> Iterator[Page]:
    def pages() -> Iterator[Page]:
        for page in BILLING_DOCUMENT.pages(access, condition, stream=STREAM):
            headers = list(BILLING_DOCUMENT.decoded(access, page.rows, stream=STREAM))
            yield Page(page.number, _joined(access, headers), page.last, page.warnings)

    return _unless_refused(pages())


def _pages_of(access: Access, numbers: Sequence[str]) -> Iterator[Page]:
    def pages() -> Iterator[Page]:
        wanted, conditions = set(numbers), list(_conditions(numbers))
        for number, condition in enumerate(conditions, start=1):
            found = BILLING_DOCUMENT.read(access, condition, stream=STREAM)
            headers = [h for h in found if canonical(h.billing_document, "BillingDocument") in wanted]
            yield Page(number, _joined(access, headers), last=number == len(conditions))
        if not conditions:
            yield Page(1, (), last=True)

    return _unless_refused(pages())


def _unless_refused(pages: Iterator[Page]) -> Iterator[Page]:
    """The pages; none and a warning where the service is not offered. What fails later is an error."""
    begun = False
    try:
        for page in pages:
            begun = True
            yield page
    except NotOffered:
        if begun:
            raise
        yield Page(1, (), last=True, warnings=(NOT_OFFERED,))


def _joined(access: Access, headers: Sequence[fields.BillingDocument]) -> list[bytes]:
    """The raw rows of these headers."""
    taxes: defaultdict[str, list[fields.TaxCondition]] = defaultdict(list)
    for condition in _conditions(sorted(header.billing_document for header in headers)):
        for tax in TAX_CONDITION.read(access, all_of(condition, TAXES), stream=STREAM):
            taxes[tax.billing_document].append(tax)
    return [
        msgspec.json.encode(Joined(header=header, taxes=tuple(taxes[header.billing_document])))
        for header in headers
    ]


def _conditions(numbers: Sequence[str]) -> Iterator[str]:
    """Filters that together show these sorted numbers: ranges where numbers are close, else some by name."""
    for at in range(0, len(numbers), NUMBERS_OF_A_RANGE):
        group = numbers[at : at + NUMBERS_OF_A_RANGE]
        first, last = group[0], group[-1]
        comparable = first.isdigit() and last.isdigit() and len(first) == len(last)
        if comparable and int(last) - int(first) < SPARSE * len(group):
            yield f"BillingDocument ge {text(first)} and BillingDocument le {text(last)}"
        else:
            for place in range(0, len(group), NUMBERS_OF_ONE_REQUEST):
                yield any_of("BillingDocument", group[place : place + NUMBERS_OF_ONE_REQUEST])


# -- adapting ----------------------------------------------------------------------------------------------


class BillingDocuments:
    """Adapts joined rows: one BillingDocument each."""

    def __init__(self) -> None:
        self._decode = msgspec.json.Decoder(Joined).decode

    def __call__(self, rows: Sequence[Row]) -> Adapted:
        """One BillingDocument a row; refuses an amount that is none and a rate that is no number."""
        adapted = Adapted()
        for place, raw in enumerate(rows):
            joined = self._decode(raw)
            try:
                adapted.records.append(_billing_document(joined))
            except Unreadable as error:
                error.key = joined.header.billing_document
                adapted.unreadable.append((bytes(raw), error))
            else:
                adapted.keys.append((place, joined.header.billing_document.encode()))
        return adapted


def _billing_document(joined: Joined) -> BillingDocument:
    header = joined.header
    of = currency(header.transaction_currency, "TransactionCurrency")
    cancels = (header.cancelled_billing_document or "").strip("0")
    return BillingDocument(
        number=canonical(header.billing_document, "BillingDocument"),
        entity=key(header.company_code, "CompanyCode"),
        type=key(header.billing_document_type, "BillingDocumentType"),
        status="cancelled" if header.billing_document_is_cancelled else "posted",
        cancels=canonical(header.cancelled_billing_document or "", "CancelledBillingDocument")
        if cancels
        else None,
        currency=of,
        total_excl=amount(header.total_net_amount, of, "TotalNetAmount"),
        tax_total=amount(header.tax_amount, of, "TaxAmount"),
        total_incl=amount(header.total_gross_amount, of, "TotalGrossAmount"),
        taxes=_taxes(joined.taxes, of),
    )


def _taxes(conditions: Iterable[fields.TaxCondition], of: str) -> str:
    """The sums by tax code and rate; a condition without a code goes by its type."""
    sums: defaultdict[tuple[str, str], list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    for condition in conditions:
        if condition.condition_inactive_reason or condition.condition_is_for_statistics:
            continue
        category = key(condition.tax_code or condition.condition_type, "TaxCode")
        found = sums[category, _rate(condition)]
        found[0] += Decimal(amount(condition.condition_base_value, of, "ConditionBaseValue"))
        found[1] += Decimal(amount(condition.condition_amount, of, "ConditionAmount"))
    told = [[*place, f"{base:f}", f"{tax:f}"] for place, (base, tax) in sorted(sums.items())]
    return msgspec.json.encode(told).decode()


def _rate(condition: fields.TaxCondition) -> str:
    """Percent without zeros at its end; 0 where the tax is no percentage."""
    if condition.condition_calculation_type not in (None, "", PERCENTAGE):
        return "0"
    if not RATE.fullmatch(condition.condition_rate_value):
        shown = ascii(condition.condition_rate_value[:40])
        raise Unreadable("rate_form", "ConditionRateValue", f"ConditionRateValue {shown} is no rate.")
    return f"{Decimal(condition.condition_rate_value).normalize():f}"
