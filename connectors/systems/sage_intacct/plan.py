"""What one run reads, in slices: the first load, the deltas since the bookmarks, and the sweep.

A delta asks for WHENMODIFIED from the bookmark minus ten minutes, and for records that have no such moment.
What is committed later than that, with the moment at which it was begun, a second reader finds: once an hour
it asks again for an hour that lies two hours back. A delta reads as well what changed payment details pay and
pay with: a reversed payment opens an invoice without moving its moment. It has no upper bound: Intacct gives
its totals of a day and not of a moment, so that a bound would hide from us what the totals know. The bound is
the bookmark instead: the moment before the first row was asked for. The first load never filters on the
moment. The audit history is read after all rows: what was deleted while they were read is in it. The sweep
reads all that is open. Interface sheet, section 6.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache, partial
from typing import Final, TypeAlias

from lxml import etree

from connectors.kit.failures import NotOffered
from connectors.kit.stream import Access, Page, Slice
from connectors.kit.xml_request import all_of, any_of, compared
from connectors.systems.sage_intacct import (
    allocations,
    customers,
    deletions,
    documents,
    entities,
    payments,
)
from connectors.systems.sage_intacct.asking import KEYS_OF_ONE_REQUEST, gateway, in_entities
from connectors.systems.sage_intacct.days import earliest, latest, printed, printed_day
from connectors.systems.sage_intacct.fields import ADJUSTMENT, ADVANCE, INVOICE, PAYMENT
from receivables.errors import Rejected

OVERLAP: Final = timedelta(minutes=10)
IN_FLIGHT: Final = timedelta(seconds=30)  # the overlap of a pass that catches up with the one before
BEHIND: Final = timedelta(hours=2)  # of the second reader: what was committed that late is found
EVERY: Final = timedelta(hours=1)  # how often it reads: requests are billed
LATE: Final = "late"  # its bookmark
MOMENT: Final = "WHENMODIFIED"

Where: TypeAlias = "etree._Element | None"  # noqa: SLF001  # lxml has no public name for it
Reading = Callable[[Access, Where], Iterator[Page]]


def _invoices(access: Access, where: Where) -> Iterator[Page]:
    return documents.joined_pages(access, INVOICE, all_of(in_entities(access), where), stream="invoices")


def _adjustments(access: Access, where: Where) -> Iterator[Page]:
    return documents.joined_pages(
        access, ADJUSTMENT, all_of(in_entities(access), where), stream="adjustments"
    )


def _receipts(access: Access, where: Where) -> Iterator[Page]:
    return payments.joined_pages(access, PAYMENT, all_of(in_entities(access), where), stream="receipts")


def _advances(access: Access, where: Where) -> Iterator[Page]:
    """Advances; none where the company does not have them or the user may not read them."""
    try:
        yield from payments.joined_pages(
            access, ADVANCE, all_of(in_entities(access), where), stream="advances"
        )
    except NotOffered as error:
        yield Page(1, (), last=True, warnings=(str(error),))


def _allocations(access: Access, where: Where) -> Iterator[Page]:
    return allocations.joined_pages(access, where, stream="allocations")


READINGS: Final[Mapping[str, tuple[Reading, str]]] = {
    "invoices": (_invoices, "documents"),
    "adjustments": (_adjustments, "documents"),
    "receipts": (_receipts, "receipts"),
    "advances": (_advances, "receipts"),
    "allocations": (_allocations, "allocations"),
}
# By stream, the day that a record counts from in the ledger.
POSTED: Final[Mapping[str, str]] = {
    "invoices": "WHENPOSTED",
    "adjustments": "WHENPOSTED",
    "receipts": "RECEIPTDATE",
    "advances": "RECEIPTDATE",
    "allocations": "PAYMENTDATE",
}
SWEPT: Final = ("invoices", "adjustments", "receipts", "advances")
# By stream, the fields of a payment detail that name its records.
TOUCHED: Final[Mapping[str, Sequence[str]]] = {
    "invoices": ("RECORDKEY", "NEGATIVEINVOICEKEY"),
    "adjustments": ("POSADJKEY", "ADJUSTMENTKEY"),
    "receipts": ("PAYMENTKEY", "POSTEDOVERPAYMENTKEY", "OVERPAYMENTKEY"),
    "advances": ("POSTEDADVANCEKEY", "ADVANCEKEY"),
}


def plan(access: Access, bookmarks: Mapping[str, str], *, sweep: bool) -> list[Slice]:
    """The slices in order; a stream without its bookmark is loaded for the first time."""
    first = any(stream not in bookmarks for stream in (*READINGS, customers.STREAM))
    slices = [entities.slice_()] if sweep or first else []
    slices.append(_customers(access, bookmarks.get(customers.STREAM, _now(access))))
    slices += [_slice(access, stream, bookmarks.get(stream)) for stream in READINGS]
    if "allocations" in bookmarks:
        changed = partial(allocations.changed, access, since(access, bookmarks["allocations"]))
        slices += _touched("touched", changed)
    if not first:
        slices += _late(access, bookmarks)
    slices.append(_deletions(access, bookmarks.get(deletions.STREAM, _now(access))))
    if sweep and not first:
        slices += [_sweep(stream) for stream in SWEPT]
    return slices


def period(first: date, following: date) -> list[Slice]:
    """The records posted from `first` to before `following`, of each stream."""
    return [_posted(stream, first, following) for stream in READINGS]


def asked_documents(access: Access, keys: Sequence[tuple[str, str, str]]) -> Slice:
    """These documents and receipts (entity, '', RECORDNO) with their lines, by key."""
    numbers = sorted({number for _, _, number in keys if number.isdigit()}, key=int)
    name = f"documents/by-key/{access.now.isoformat()}"
    pages = partial(_asked_pages, numbers=numbers)
    return Slice("documents", name, pages, "shown", skip_unchanged=False)


def _asked_pages(access: Access, numbers: Sequence[str]) -> Iterator[Page]:
    number = 0
    for stream in SWEPT:
        for page in _of_numbers(access, stream, numbers):
            number += 1
            yield Page(number, page.rows, last=False, warnings=page.warnings)
    yield Page(number + 1, (), last=True)


def _of_numbers(access: Access, stream: str, numbers: Sequence[str]) -> Iterator[Page]:
    """The records of this stream that have these RECORDNO."""
    reading, _ = READINGS[stream]
    for at in range(0, len(numbers), KEYS_OF_ONE_REQUEST):
        yield from reading(access, compared("in", "RECORDNO", *numbers[at : at + KEYS_OF_ONE_REQUEST]))


def _slice(access: Access, stream: str, bookmark: str | None) -> Slice:
    reading, adapter = READINGS[stream]
    where = since(access, bookmark) if bookmark else None
    pages = partial(_begun, reading=reading, where=where)
    name = f"{stream}/{'delta' if bookmark else 'all'}"
    return Slice(stream, name, pages, adapter, bookmark=stream, reached=_now(access))


def _posted(stream: str, first: date, following: date) -> Slice:
    reading, adapter = READINGS[stream]
    where = all_of(
        compared("greaterthanorequalto", POSTED[stream], printed_day(first)),
        compared("lessthan", POSTED[stream], printed_day(following)),
    )
    pages = partial(_begun, reading=reading, where=where)
    return Slice(stream, f"{stream}/again/{first}/{following}", pages, adapter, skip_unchanged=False)


def _begun(access: Access, reading: Reading, where: Where) -> Iterator[Page]:
    return reading(access, where)


def _late(access: Access, bookmarks: Mapping[str, str]) -> list[Slice]:
    """What changed in the hours before the last two, once more: it may have been committed since."""
    until = datetime.fromisoformat(_now(access)) - BEHIND
    known = LATE in bookmarks
    begin = _moment(access, bookmarks[LATE]) if known else _moment(access, bookmarks["invoices"]) - BEHIND
    if known and until - begin < EVERY:
        return []
    where = between(access, begin, until)
    slices = [
        Slice(stream, f"{stream}/{LATE}", partial(_begun, reading=reading, where=where), adapter)
        for stream, (reading, adapter) in READINGS.items()
    ]
    slices += _touched(f"touched-{LATE}", partial(allocations.changed, access, where))
    pages = partial(customers.changed, where=where)
    name = f"{customers.STREAM}/{LATE}"
    last = Slice(customers.STREAM, name, pages, "customers", bookmark=LATE, reached=until.isoformat())
    return [*slices, last]


def _touched(name: str, changed: Callable[[], Sequence[Mapping[str, str]]]) -> list[Slice]:
    """The records that payment details name which changed; these are asked for once."""
    details = cache(changed)
    return [
        Slice(stream, f"{stream}/{name}", partial(_touched_pages, stream=stream, details=details), adapter)
        for stream in TOUCHED
        for _, adapter in [READINGS[stream]]
    ]


def _touched_pages(
    access: Access, stream: str, details: Callable[[], Sequence[Mapping[str, str]]]
) -> Iterator[Page]:
    """The records of this stream that these payment details name."""
    keys = {detail[name] for detail in details() for name in TOUCHED[stream] if detail.get(name)}
    wanted, number = sorted(keys, key=lambda key: (len(key), key)), 0
    for page in _of_numbers(access, stream, wanted):
        number += 1
        yield Page(number, page.rows, last=False, warnings=page.warnings)
    yield Page(number + 1, (), last=True)


def _customers(access: Access, bookmark: str) -> Slice:
    """Customers that changed; the first load has asked for those that items name, and sees later changes."""
    pages = partial(customers.changed, where=since(access, bookmark))
    return Slice(
        customers.STREAM,
        customers.STREAM,
        pages,
        "customers",
        bookmark=customers.STREAM,
        reached=_now(access),
    )


def _deletions(access: Access, bookmark: str) -> Slice:
    """What was deleted since the bookmark; every entry again, as the overlap shows it."""
    return Slice(
        deletions.STREAM,
        deletions.STREAM,
        partial(deletions.pages, since=_moment(access, bookmark) - OVERLAP),
        "deletions",
        bookmark=deletions.STREAM,
        reached=_now(access),
        skip_unchanged=False,
    )


def _sweep(stream: str) -> Slice:
    reading, adapter = READINGS[stream]
    open_ = compared("notequalto", "TRX_TOTALDUE", "0")
    pages = partial(_begun, reading=reading, where=open_)
    return Slice("sweep", f"sweep/{stream}", pages, f"swept_{adapter}", skip_unchanged=False)


def _now(access: Access) -> str:
    """What bookmarks reach: the run's start, by the earlier of our clock and Intacct's."""
    theirs = gateway(access).clock
    return min(access.now, theirs or access.now).astimezone(UTC).isoformat()


def since(access: Access, bookmark: str) -> etree._Element:
    """The condition for what changed since the bookmark, and for what has no moment of change."""
    begin = _moment(access, bookmark) - (IN_FLIGHT if access.catching_up else OVERLAP)
    in_zone = printed(earliest(begin, access.zone))
    return any_of(compared("greaterthanorequalto", MOMENT, in_zone), compared("isnull", MOMENT))


def between(access: Access, begin: datetime, until: datetime) -> etree._Element:
    """The condition for what changed from one moment to another."""
    shown = (printed(earliest(begin, access.zone)), printed(latest(until, access.zone)))
    return compared("between", MOMENT, *shown)


def _moment(access: Access, bookmark: str) -> datetime:
    try:
        return datetime.fromisoformat(bookmark).astimezone(UTC)
    except ValueError:
        raise Rejected(f"{access.http.connector}: the bookmark {bookmark[:40]!r} is no moment.") from None
