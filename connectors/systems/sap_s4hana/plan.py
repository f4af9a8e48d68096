"""What one run reads, in slices: the first load, the deltas since the bookmarks, and the sweep.

Bookmarks are days in the zone of the SAP server: its change fields are dates without a time, so a delta
reads from the bookmark's day minus one whole local day. The first load never filters on a change field, and
reads the deltas since the day before its start at its end, for what was posted while it read. Interface
sheet, section 6.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from itertools import pairwise
from typing import Final

from connectors.kit.odata_v2 import all_of, any_of, day, text
from connectors.kit.stream import Access, Page, Slice
from connectors.systems.sap_s4hana import billing, customers, entities
from connectors.systems.sap_s4hana.services import ITEM, SHORT_ITEM
from receivables.errors import Rejected

STREAM: Final = "accounting_items"
OVERLAP: Final = timedelta(days=1)
DELTAS: Final = {
    "created": "AccountingDocumentCreationDate",
    "cleared": "ClearingCreationDate",
    "changed": "LastChangeDate",
}
OPEN: Final = "ClearingAccountingDocument eq ''"
KEYS_OF_ONE_REQUEST: Final = 30


def plan(access: Access, bookmarks: Mapping[str, str], *, sweep: bool) -> list[Slice]:
    """The slices in order. A company code without all its bookmarks is loaded for the first time."""
    today = access.now.astimezone(access.zone).date()
    codes = access.settings.company_codes
    known = [code for code in codes if all(bookmark_name(code, delta) in bookmarks for delta in DELTAS)]
    everything = sweep or len(known) < len(codes) or customers.BOOKMARK not in bookmarks
    slices = [entities.slice_()] if everything else []
    slices += customers.slices(bookmarks, today, everything=everything)
    for code in codes:
        if code not in known:
            slices += _first_load(code, today, access.settings.history_months)
    for code in codes:
        since = {
            delta: _since(access, bookmarks.get(bookmark_name(code, delta), today.isoformat()))
            for delta in DELTAS
        }
        slices += [_delta(code, delta, since[delta], today) for delta in DELTAS]
        if access.settings.billing:
            reached = bookmarks.get(billing.bookmark_name(code), today.isoformat())
            slices.append(billing.changed(code, _since(access, reached), today))
        if sweep:
            slices.append(_sweep(code))
    return slices


def period(access: Access, first: date, following: date) -> list[Slice]:
    """The items posted from `first` to before `following`, and those cleared then, of each company code.

    What was cleared then is read as well so that clearings older than the history are whole.
    """
    days = {"posted": "PostingDate", "cleared": "ClearingDate"}
    return [
        replace(
            _slice(code, f"{how}-again/{first}", all_of(_of(code), _between(name, first, following))),
            skip_unchanged=False,
        )
        for code in access.settings.company_codes
        for how, name in days.items()
    ]


def bookmark_name(code: str, delta: str) -> str:
    """The bookmark of one of a company code's three deltas."""
    return f"{STREAM}/{code}/{delta}"


def documents(access: Access, keys: Sequence[tuple[str, str, str]]) -> Slice:
    """These documents (company code, fiscal year, number) whole, by key."""
    groups: dict[tuple[str, str], list[str]] = {}
    for code, year, number in sorted(set(keys)):
        groups.setdefault((code, year), []).append(number)
    conditions = [
        all_of(
            _of(code),
            f"FiscalYear eq {text(year)}",
            any_of("AccountingDocument", numbers[at : at + KEYS_OF_ONE_REQUEST]),
        )
        for (code, year), numbers in groups.items()
        for at in range(0, len(numbers), KEYS_OF_ONE_REQUEST)
    ]
    name = f"{STREAM}/by-key/{access.now.isoformat()}"
    pages = partial(one_after_another, conditions=conditions)
    return Slice(STREAM, name, pages, "shown_items", skip_unchanged=False)


def one_after_another(access: Access, conditions: Sequence[str]) -> Iterator[Page]:
    """The items under each condition in turn, as the pages of one slice."""
    number = 0
    for place, condition in enumerate(conditions, start=1):
        for page in ITEM.pages(access, condition, stream=STREAM):
            number += 1
            yield Page(number, page.rows, page.last and place == len(conditions), page.warnings)
    if not conditions:
        yield Page(1, (), last=True)


def _of(code: str) -> str:
    return f"FinancialAccountType eq 'D' and CompanyCode eq {text(code)}"


def _first_load(code: str, today: date, months: int) -> Iterator[Slice]:
    """Open items of all years by posting month, then those cleared in the last months by clearing month."""
    firsts = [month_before(today, back) for back in range(months, -2, -1)]
    yield _slice(
        code, f"open/before-{firsts[0]:%Y-%m}", all_of(_of(code), OPEN, f"PostingDate lt {day(firsts[0])}")
    )
    for first, following in pairwise(firsts):
        yield _slice(
            code, f"open/{first:%Y-%m}", all_of(_of(code), OPEN, _between("PostingDate", first, following))
        )
    yield _slice(
        code, f"open/from-{firsts[-1]:%Y-%m}", all_of(_of(code), OPEN, f"PostingDate ge {day(firsts[-1])}")
    )
    for first, following in pairwise(firsts):
        if months:
            cleared = all_of(_of(code), _between("ClearingDate", first, following))
            yield _slice(code, f"cleared/{first:%Y-%m}", cleared)
    if months:
        yield _slice(
            code, f"cleared/from-{firsts[-1]:%Y-%m}", all_of(_of(code), f"ClearingDate ge {day(firsts[-1])}")
        )


def _delta(code: str, delta: str, since: date, today: date) -> Slice:
    condition = all_of(_of(code), f"{DELTAS[delta]} ge {day(since)}")
    name = bookmark_name(code, delta)
    pages = partial(ITEM.pages, filter_=condition, stream=STREAM)
    return Slice(STREAM, name, pages, "items", bookmark=name, reached=today.isoformat())


def _sweep(code: str) -> Slice:
    pages = partial(SHORT_ITEM.pages, filter_=all_of(_of(code), OPEN), stream="sweep")
    return Slice("sweep", f"sweep/{code}", pages, "short_items", skip_unchanged=False)


def _slice(code: str, name: str, condition: str) -> Slice:
    return Slice(
        STREAM, f"{STREAM}/{code}/{name}", partial(ITEM.pages, filter_=condition, stream=STREAM), "items"
    )


def _between(name: str, first: date, following: date) -> str:
    return f"{name} ge {day(first)} and {name} lt {day(following)}"


def _since(access: Access, bookmark: str) -> date:
    """The day that a delta reads from: the bookmark's day minus the overlap."""
    try:
        return date.fromisoformat(bookmark) - OVERLAP
    except ValueError:
        raise Rejected(f"{access.http.connector}: the bookmark {bookmark!r} is no day.") from None


def month_before(today: date, back: int) -> date:
    """The first day of the month so many months before today's."""
    months = today.year * 12 + today.month - 1 - back
    return date(months // 12, months % 12 + 1, 1)
