"""OData V2: a service's metadata, filter literals, and lists read page by page to an explicit end.

Refuses next links to elsewhere or seen before, pages that are shorter than they should be, lists that end
before their count, and metadata that lacks what is needed. Source: OData V2 "JSON Format", "URI
Conventions"; SAP's annotations in http://www.sap.com/Protocols/SAPData.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Final
from urllib.parse import quote, urljoin

import msgspec
from lxml import etree

from connectors.kit import exact_json, exact_xml
from connectors.kit.addresses import origin_of
from connectors.kit.ahead import begun
from connectors.kit.failures import clean, shown
from connectors.kit.http import Session
from connectors.kit.stream import Page
from receivables.errors import Misconfigured, Moved, Rejected, Transient

MAX_LINK: Final = 8192
MAX_PAGES: Final = 100_000
UNIT: Final = "{http://www.sap.com/Protocols/SAPData}unit"


# -- what a service offers ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Property:
    """One declared property; `unit` names the property that holds an amount's currency (sap:unit)."""

    name: str
    type: str
    max_length: int | None
    unit: str | None


@dataclass(frozen=True)
class Metadata:
    """The properties of each entity set of a service, by name."""

    sets: Mapping[str, Mapping[str, Property]]

    def selected(
        self,
        entity_set: str,
        wanted: Iterable[str],
        required: Iterable[str],
        amounts: Iterable[str],
        place: str,
    ) -> tuple[str, ...]:
        """Those of the wanted properties that the set has.

        Raises Misconfigured when the set or a required property is missing, or when an amount does not name
        its currency: such a service prints yen with two decimals that are not there.
        """
        offered = self.sets.get(entity_set)
        if offered is None:
            raise Misconfigured(
                f"{place}: the service has no {entity_set}. Check its release and activation."
            )
        missing = [name for name in required if name not in offered]
        if missing:
            raise Misconfigured(
                f"{place}: {entity_set} has no {', '.join(missing)}. Its release is not supported."
            )
        bare = [name for name in amounts if name in offered and not offered[name].unit]
        if bare:
            raise Misconfigured(
                f"{place}: {', '.join(bare)} of {entity_set} name no currency (sap:unit), so amounts in "
                "JPY or KWD would be wrong by a factor and still agree. Use the standard service."
            )
        return tuple(name for name in wanted if name in offered)


@lru_cache(maxsize=32)
def read_metadata(body: bytes) -> Metadata:
    """The entity sets and properties of an EDMX document. Raises exact_xml.Malformed."""
    root = exact_xml.parse(body)
    types = {
        str(element.get("Name")): {p.name: p for p in map(_property, element.iterfind("{*}Property"))}
        for element in root.iterfind(".//{*}EntityType")
    }
    sets = {}
    for element in root.iterfind(".//{*}EntitySet"):
        kind = str(element.get("EntityType")).rpartition(".")[2]
        sets[str(element.get("Name"))] = types.get(kind, {})
    return Metadata(sets)


def _property(element: etree._Element) -> Property:
    length = element.get("MaxLength", "")
    return Property(
        name=element.get("Name", ""),
        type=element.get("Type", ""),
        max_length=int(length) if length.isdecimal() else None,
        unit=element.get(UNIT),
    )


# -- what to ask -------------------------------------------------------------------------------------------


def text(value: str) -> str:
    """A text literal of a filter; quotes are doubled."""
    return "'" + value.replace("'", "''") + "'"


def day(value: date) -> str:
    """A calendar day as an Edm.DateTime literal of a filter."""
    return f"datetime'{value.isoformat()}T00:00:00'"


def any_of(name: str, values: Iterable[str]) -> str:
    """A filter that one text property equals one of these values."""
    return "(" + " or ".join(f"{name} eq {text(value)}" for value in values) + ")"


def all_of(*conditions: str) -> str:
    """The conditions that are not empty, joined by `and`."""
    return " and ".join(condition for condition in conditions if condition)


@dataclass(frozen=True)
class Query:
    """One list: `path` below the service's root, what to select, filter and order by."""

    path: str
    select: Sequence[str]
    filter: str = ""
    order: Sequence[str] = ()


# -- what an answer holds ----------------------------------------------------------------------------------


class _Data(msgspec.Struct):
    results: list[msgspec.Raw]
    count: str | int | None = msgspec.field(name="__count", default=None)
    next: str | None = msgspec.field(name="__next", default=None)


class _Envelope(msgspec.Struct):
    d: _Data


_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)


@dataclass(frozen=True)
class Listed:
    """One answer of a list: records as received, the list's count and the link to what follows, if given."""

    rows: Sequence[msgspec.Raw]
    count: int | None
    next: str | None


def split(body: bytes, place: str) -> Listed:
    """The records of an answer, not decoded; Rejected for another answer, Transient if it is cut off."""
    body = body.removeprefix(exact_json.BOM)
    try:
        data = _ENVELOPE.decode(body).d
        _prove_envelope(body, data.results)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, exact_json.Malformed) as error:
        if "truncated" in str(error):
            raise Transient(f"{place}: the answer ends in the middle ({len(body)} bytes).") from None
        raise Rejected(f"{place}: the answer is not an OData V2 list: {clean(str(error))}.") from None
    count = data.count
    if isinstance(count, str):
        if not re.fullmatch(r"\d{1,12}", count):
            raise Rejected(f"{place}: the list's count {clean(count)[:20]!r} is not a number.")
        count = int(count)
    return Listed(data.results, count, data.next)


def _prove_envelope(body: bytes, rows: Sequence[msgspec.Raw]) -> None:
    """Proves that nothing but these rows and one strict envelope is there; raises Malformed."""
    first, last = body.find(b"["), body.rfind(b"]")
    within = sum(map(len, rows)) + max(0, len(rows) - 1)
    if last - first - 1 == within:
        exact_json.strict(body[: first + 1] + body[last:])
    else:
        exact_json.strict(body)


def error_text(body: bytes) -> str:
    """The code and text of an OData error, JSON (V2, V4) or Atom XML; empty when it is neither.

    Codes are shown and never decided upon: SAP uses one code for unrelated texts.
    """
    if body.lstrip()[:1] == b"{":
        try:
            error = exact_json.strict(body)["error"]
            message = error["message"]
            return f"{error['code']}: {message['value'] if isinstance(message, dict) else message}"
        except (exact_json.Malformed, KeyError, TypeError):
            return ""
    try:
        root = exact_xml.parse(body)
    except exact_xml.Malformed:
        return ""
    code, message = root.findtext("{*}code"), root.findtext("{*}message")
    return f"{code}: {message}" if code or message else ""


# -- a service ---------------------------------------------------------------------------------------------


@dataclass
class Service:
    """One OData V2 service below its root address; `options` are sent with every request (sap-client)."""

    http: Session
    root: str  # https://host/sap/opu/odata/sap/NAME
    options: Mapping[str, str] = field(default_factory=dict)
    language: str = "en"

    def metadata(self, *, stream: str) -> Metadata:
        """What the service declares; asked once a session."""
        place = f"{self.http.connector}, {stream}"
        url = self._url("$metadata", {})
        body = self.http.once(
            url, stream=stream, accept="application/xml", language=self.language, says=error_text
        )
        try:
            return read_metadata(body)
        except exact_xml.Malformed as error:
            raise Rejected(f"{place}: {shown(url)} is no metadata document: {error}.") from None

    def count(self, query: Query, *, stream: str) -> int:
        """How many records a list has; none is read."""
        url = self._url(f"{query.path}/$count", {"$filter": query.filter})
        body = (
            self._get(url, stream, accept="text/plain, application/json").strip().removeprefix(exact_json.BOM)
        )
        if not re.fullmatch(rb"\d{1,12}", body):
            raise Rejected(f"{self.http.connector}, {stream}: the count of {query.path} is not a number.")
        return int(body)

    def first(self, query: Query, *, stream: str, rows: int = 1) -> Listed:
        """The first records of a list and its count."""
        return split(self._get(self._page_url(query, 0, rows), stream), f"{self.http.connector}, {stream}")

    def pages(self, query: Query, *, stream: str, size: int) -> Iterator[Page]:
        """All records of a list, to its explicit end; the next page is asked for while one is worked on."""
        walk = _Walk(self, query, stream, size)
        coming = begun(walk.turn)
        while True:
            page = coming.result()
            if page.last:
                yield page
                return
            coming = begun(walk.turn)
            yield page

    def _get(self, url: str, stream: str, accept: str = "application/json") -> bytes:
        return self.http.get(url, stream=stream, accept=accept, language=self.language, says=error_text).body

    def _page_url(self, query: Query, skip: int, top: int) -> str:
        return self._url(
            query.path,
            {
                "$select": ",".join(query.select),
                "$filter": query.filter,
                "$orderby": ",".join(query.order),
                "$top": str(top),
                "$skip": str(skip) if skip else "",
                "$inlinecount": "allpages",
                "$format": "json",
            },
        )

    def _url(self, path: str, parameters: Mapping[str, str]) -> str:
        asked = {name: value for name, value in {**parameters, **self.options}.items() if value}
        query = "&".join(f"{name}={quote(value, safe=',()')}" for name, value in asked.items())
        address = f"{self.root}/" + quote(path, safe="/(),='$")
        return f"{address}?{query}" if query else address


class _Walk:
    """Where one list is: asks `$top` and `$skip`, follows the server's links within each, knows the end."""

    def __init__(self, service: Service, query: Query, stream: str, size: int) -> None:
        self._service, self._query, self._stream, self._size = service, query, stream, size
        self._place = f"{service.http.connector}, {stream}"
        self._number = 0
        self._received = 0
        self._asked_from = 0  # rows received before the last request by $skip
        self._count: int | None = None
        self._link: str | None = None
        self._seen: set[str] = set()

    def turn(self) -> Page:
        """Asks for the next page; `last` is an explicit end."""
        if self._link is None:
            self._asked_from = self._received
            url = self._service._page_url(self._query, self._received, self._size)  # noqa: SLF001
        else:
            url = self._link
        listed = split(self._service._get(url, self._stream), self._place)  # noqa: SLF001
        self._number += 1
        if self._number > MAX_PAGES:
            raise Rejected(f"{self._place}: more than {MAX_PAGES} pages. The server repeats itself.")
        self._received += len(listed.rows)
        self._counted(listed.count)
        self._link = self._checked(url, listed.next) if listed.next else None
        last, warnings = self._ended(len(listed.rows))
        return Page(self._number, listed.rows, last, warnings)

    def _counted(self, count: int | None) -> None:
        if count is None:
            return
        if self._count is not None and count < self._count:
            raise Moved(
                f"{self._place}: the list became shorter while it was read ({self._count} rows, now "
                f"{count}); read again, it will be whole."
            )
        self._count = count

    def _ended(self, rows: int) -> tuple[bool, tuple[str, ...]]:
        if self._count is not None and self._received > self._count:
            raise Rejected(
                f"{self._place}: {self._received} rows of a list of {self._count}. The server repeats itself."
            )
        if self._link is not None:
            if rows == 0:
                raise Rejected(f"{self._place}: an empty page that links to another one.")
            return False, ()
        if self._count is not None and self._received == self._count:
            return True, ()
        full = self._received - self._asked_from >= self._size
        if self._count is not None and not full:
            raise Rejected(
                f"{self._place}: page {self._number} ends at row {self._received} of {self._count} and links "
                f"to no other. If the server's page limit is below {self._size}, lower `page_size`."
            )
        if self._count is None and full:
            return False, (
                f"Page {self._number} is exactly full, without a link and a count; asked again after it.",
            )
        return not full, ()

    def _checked(self, url: str, link: str) -> str:
        """The link, absolute, if it leads on within this service."""
        target = urljoin(url, link)
        if len(target) > MAX_LINK:
            raise Rejected(f"{self._place}: a link to the next page of {len(target)} characters.")
        if origin_of(target) != self._service.http.origin or not target.startswith(self._service.root + "/"):
            raise Rejected(
                f"{self._place}: the next page is said to be at {shown(target)}, which is not below "
                f"{self._service.root}. Nothing was sent there."
            )
        if target in self._seen or target == url:
            raise Rejected(f"{self._place}: the link to the next page leads to one already read.")
        self._seen.add(target)
        return target
