"""The audit history -> which documents, receipts and customers were deleted.

A window of time is asked for as a whole. One entry that Intacct cannot show fails the whole answer, so a
window that fails is halved until the moment of that entry stands alone: that moment is set aside, and the
others are read. To skip rows until it works loses deletions. Nothing proves that the history has those of
every object: what it leaves out is found by the sweep. Source: interface sheet, sections 3 and 6;
developer.intacct.com, "Audit trails".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from lxml import etree

from connectors.kit import xml_rows
from connectors.kit.failures import NotOffered
from connectors.kit.stream import Access, Adapted, Page, Row
from connectors.kit.xml_answer import Failed
from connectors.kit.xml_request import Query, all_of, compared, element
from connectors.systems.sage_intacct.asking import gateway
from connectors.systems.sage_intacct.days import printed
from connectors.systems.sage_intacct.fields import DELETION
from receivables.errors import Unreadable
from receivables.records import Deleted
from receivables.values import key

STREAM: Final = "deletions"
KINDS: Final = {
    "arinvoice": "document",
    "aradjustment": "document",
    "arpymt": "receipt",
    "aradvance": "receipt",
    "customer": "customer",
}
MODE: Final = "D"
NOT_SHOWN: Final = "MOMENT"  # in place of a row: a window whose entries Intacct cannot show
SECOND: Final = timedelta(seconds=1)
AHEAD: Final = timedelta(days=1)  # nothing is deleted later than this after the server's clock
REQUESTS: Final = 200  # after so many no window is halved any more: what fails is set aside as it is
HOPELESS: Final = (
    20  # requests without an answer after which no row is to blame: all that is left is set aside
)


# -- reading -----------------------------------------------------------------------------------------------


def pages(access: Access, since: datetime) -> Iterator[Page]:
    """One page: the deletions since this moment; none where the user may not read the audit history."""
    now = max(access.now, gateway(access).clock or access.now)
    try:
        rows = list(
            _rows(access, since.replace(microsecond=0), now.astimezone(UTC).replace(microsecond=0) + AHEAD)
        )
    except NotOffered as error:
        yield Page(1, (), last=True, warnings=(str(error),))
        return
    yield Page(1, rows, last=True)


def asked(access: Access, first: datetime, last: datetime) -> Query:
    """The query for the deletions between two moments, both of them included."""
    from_, to = (printed(moment.astimezone(access.zone)) for moment in (first, last))
    where = all_of(
        compared("in", "OBJECTTYPE", *KINDS),
        compared("equalto", "ACCESSMODE", MODE),
        compared("greaterthanorequalto", "ACCESSTIME", from_),
        compared("lessthanorequalto", "ACCESSTIME", to),
    )
    return Query(DELETION.name, DELETION.fields, where, ("ACCESSTIME", "ID"))


def _rows(access: Access, first: datetime, last: datetime) -> Iterator[bytes]:
    """The entries between two moments, in their order; a window that fails is halved."""
    until, waiting, requests, answered = last, [(first, last)], 0, False
    while waiting:
        first, last = waiting.pop()
        requests += 1
        try:
            rows = list(gateway(access).all(asked(access, first, last), stream=STREAM))
        except Failed:
            if requests >= HOPELESS and not answered:
                yield _not_shown(access, first, until)
                return
            if first == last or requests >= REQUESTS:
                yield _not_shown(access, first, last)
            else:
                middle = first + (last - first) // (2 * SECOND) * SECOND
                waiting += [(middle + SECOND, last), (first, middle)]
        else:
            answered = True
            yield from rows


def _not_shown(access: Access, first: datetime, last: datetime) -> bytes:
    moments = (printed(moment.astimezone(access.zone)) for moment in (first, last))
    parts = (element(name, moment) for name, moment in zip(("FIRST", "LAST"), moments, strict=True))
    return etree.tostring(element(NOT_SHOWN, *parts))


# -- adapting ----------------------------------------------------------------------------------------------


class Deletions:
    """Adapts entries of the audit history."""

    def __call__(self, rows: Sequence[Row]) -> Adapted:
        """One Deleted a row, named by its moment: a moment that is shown again settles its reject."""
        adapted = Adapted()
        for place, raw in enumerate(rows):
            row, name = bytes(raw), ""
            try:
                entry = xml_rows.values(row)
                name = entry.get("FIRST") or entry.get("ACCESSTIME", "")
                adapted.records += _deleted(xml_rows.name_of(row), entry)
            except Unreadable as error:
                error.key = name or None
                adapted.unreadable.append((row, error))
            else:
                adapted.keys.append((place, name.encode()))
        return adapted


def _deleted(name: str, entry: Mapping[str, str]) -> Iterator[Deleted]:
    if name == NOT_SHOWN:
        raise Unreadable(
            "not_shown",
            "ACCESSTIME",
            f"Intacct fails on the entries of its audit history from {entry['FIRST']} to {entry['LAST']}. "
            "What was deleted then is found by the next sweep.",
        )
    kind = KINDS.get(entry.get("OBJECTTYPE", "").lower())
    if kind is not None:
        yield Deleted(
            kind,
            key(entry.get("OBJECTKEY"), "OBJECTKEY"),
            f"Entry {entry.get('ID')} of Intacct's audit history says that it was deleted on "
            f"{entry.get('ACCESSTIME')}.",
        )
