"""An XML gateway in the manner of Sage Intacct: functions called one by one, and lists read to their end.

Lists are read by key, never by offset: each request is a new query, and rows shift while data changes.
Refuses lists whose counts and rows disagree, rows out of order and rows without their key. Source:
developer.intacct.com, "Queries".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from lxml import etree

from connectors.kit import exact_xml, xml_rows
from connectors.kit.ahead import begun
from connectors.kit.failures import clean, refusal
from connectors.kit.http import Post, Session
from connectors.kit.stream import Page
from connectors.kit.xml_answer import Response, Result, expired, judge, read, says
from connectors.kit.xml_request import Query, all_of, compared, request
from receivables.errors import HubError, Misconfigured, Rejected, Transient

READABLE: Final = frozenset({400, 401, 403})  # statuses that come with an answer of the gateway
MAX_PAGES: Final = 100_000
MAX_SIZE: Final = 2000  # rows of a page
FIRST_FAILURE: Final = 300


@dataclass(frozen=True)
class Listed:
    """One answer to a query: rows as received, how many there are in all, and how many follow."""

    rows: Sequence[bytes]
    total: int
    remaining: int


@dataclass
class Gateway:
    """The gateway at one address, with a connector's session that signs."""

    http: Session
    url: str
    clock: datetime | None = field(default=None, init=False)  # the server's, as its last answer told it
    _asked: int = field(default=0, init=False)

    def call(self, function: etree._Element, *, stream: str) -> tuple[Result, Response]:
        """The result of one function, successful at all levels; else raises our error for what failed."""
        place = f"{self.http.connector}, {stream}"
        self._asked += 1
        post = Post(
            request(function, f"{stream}-{self._asked}"),
            "application/xml",
            readable=READABLE,
            expired=expired,
        )
        answer = self.http.post(self.url, post, stream=stream, says=says)
        try:
            response = read(answer.body)
        except exact_xml.Malformed as error:
            if answer.status >= FIRST_FAILURE:
                raise _plain(
                    refusal(answer.status, place=place, origin=self.http.origin, words="", pause=None)
                ) from None
            if b"<response" in answer.body and not answer.body.rstrip().endswith(b"</response>"):
                size = len(answer.body)
                raise Transient(f"{place}: the answer ends in the middle ({size} bytes).") from None
            raise Rejected(f"{place}: the answer is none of an XML gateway: {clean(str(error))}.") from None
        result = judge(response, place)
        if response.moment:
            self.clock = _moment(response.moment) or self.clock
        return result, response

    def listed(self, query: Query, *, stream: str, size: int = MAX_SIZE, offset: int = 0) -> Listed:
        """One page of a list, its counts and rows in agreement."""
        place = f"{self.http.connector}, {stream}"
        result, response = self.call(query.function(size, offset), stream=stream)
        data = result.data
        if data is None:
            raise Transient(f"{place}: the answer has no list of {query.of}. Read again.")
        total, count, remaining = (
            _number(data, name, place) for name in ("totalcount", "count", "numremaining")
        )
        if count != len(response.rows):
            raise Rejected(f"{place}: {len(response.rows)} rows of {query.of} in a page that counts {count}.")
        if total != offset + count + remaining:
            raise Rejected(
                f"{place}: {query.of} counts {total} rows in all, of which {offset + count} are read and "
                f"{remaining} remain."
            )
        if not count and remaining:
            raise Rejected(f"{place}: an empty page of {query.of}, of which {remaining} rows remain.")
        wrong = next((row for row in response.rows if xml_rows.name_of(row) != query.of.upper()), None)
        if wrong is not None:
            raise Rejected(f"{place}: a row {xml_rows.name_of(wrong)[:40]} in a list of {query.of}.")
        return Listed(response.rows, total, remaining)

    def all(self, query: Query, *, stream: str, size: int = MAX_SIZE) -> Iterator[bytes]:
        """All rows of a small list that has no key (sums by group), by offset in the order given."""
        offset = 0
        for _ in range(MAX_PAGES):
            listed = self.listed(query, stream=stream, size=size, offset=offset)
            yield from listed.rows
            offset += len(listed.rows)
            if not listed.remaining:
                return

    def pages(self, query: Query, key: str, *, stream: str, size: int) -> Iterator[Page]:
        """All rows of a list by its numeric key, to the explicit end, one page ahead."""
        walk = _Walk(self, query, key, stream, size)
        coming = begun(walk.turn)
        while True:
            page = coming.result()
            if page.last:
                yield page
                return
            coming = begun(walk.turn)
            yield page


class _Walk:
    """Where one list is: asks for keys greater than the last one, in their order, until none remains."""

    def __init__(self, gateway: Gateway, query: Query, key: str, stream: str, size: int) -> None:
        self._gateway, self._query, self._key = gateway, query, key
        self._stream, self._size = stream, size
        self._place = f"{gateway.http.connector}, {stream}"
        self._number = 0
        self._last = -1
        name = re.escape(key).encode()
        self._of_row = re.compile(rb"<(?i:" + name + rb")>\s*(\d{1,18})\s*</")

    def turn(self) -> Page:
        """Asks for the next page; `last` is an explicit end."""
        self._number += 1
        if self._number > MAX_PAGES:
            raise Rejected(f"{self._place}: more than {MAX_PAGES} pages. The gateway repeats itself.")
        query = self._query
        after = compared("greaterthan", self._key, str(self._last)) if self._number > 1 else None
        listed = self._gateway.listed(
            Query(query.of, query.fields, all_of(query.where, after), (self._key,)),
            stream=self._stream,
            size=self._size,
        )
        for row in listed.rows:
            self._follow(row)
        return Page(self._number, listed.rows, last=not listed.remaining)

    def _follow(self, row: bytes) -> None:
        found = self._of_row.search(row)
        if found is None:
            raise Rejected(f"{self._place}: a row of {self._query.of} has no {self._key}.")
        number = int(found[1])
        if number <= self._last:
            raise Rejected(
                f"{self._place}: {self._query.of} comes not in the order of {self._key}: {number} after "
                f"{self._last}. Rows could be lost."
            )
        self._last = number


def _moment(text: str) -> datetime | None:
    """A stamp with its offset; None for what is none."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _number(data: Mapping[str, str], name: str, place: str) -> int:
    text = data.get(name, "")
    if not re.fullmatch(r"\d{1,12}", text):
        raise Rejected(f"{place}: the list's {name} {text[:20]!r} is not a number.")
    return int(text)


def _plain(error: HubError) -> HubError:
    """A refused status without an answer: nobody tries it again here."""
    return Misconfigured(str(error)) if isinstance(error, Transient) else error
