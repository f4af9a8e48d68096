"""How objects of one Intacct are asked for: the gateway, the fields that it offers, lists by key.

Asks for all fields that we know; where Intacct refuses that, `lookup` (or the words of the refusal) tells
which are there, once a session. Raises Misconfigured only when a required field is missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

from lxml import etree

from connectors.kit import exact_xml, xml_rows
from connectors.kit.failures import NotOffered
from connectors.kit.stream import Access, Page
from connectors.kit.xml_answer import Failed
from connectors.kit.xml_gateway import Gateway
from connectors.kit.xml_request import Query, any_of, compared, element
from connectors.systems.sage_intacct.fields import Object
from connectors.systems.sage_intacct.settings import TOP
from receivables.errors import Misconfigured, Rejected, Unreadable
from receivables.values import amount

KEY = "RECORDNO"
KEYS_OF_ONE_REQUEST = 500


def gateway(access: Access) -> Gateway:
    """The gateway of the connector; its session signs and knows the endpoint."""
    return access.http.remember("gateway", lambda: Gateway(access.http, access.settings.base_url))


def offered(access: Access, of: Object, *, stream: str) -> frozenset[str]:
    """Those of the object's fields that this company has and this user may read; asked for once a session.

    `lookup` tells them; where that function is not to be had, one row is asked for.
    """
    try:
        return _looked_up(access, of, stream=stream)
    except (Failed, NotOffered):
        next(pages(access, of, None, stream=stream, size=1))
        return frozenset(_known(access, of))


def pages(
    access: Access, of: Object, where: etree._Element | None, *, stream: str, size: int | None = None
) -> Iterator[Page]:
    """The object's records under this condition, by RECORDNO to the explicit end."""
    while True:
        query = Query(of.name, _known(access, of), where)
        walk = gateway(access).pages(query, KEY, stream=stream, size=size or access.settings.page_size)
        try:
            first = next(walk)
        except Failed as error:
            if not _reduced(access, of, error, stream=stream):
                raise
        else:
            yield first
            yield from walk
            return


def _looked_up(access: Access, of: Object, *, stream: str) -> frozenset[str]:
    def ask() -> frozenset[str]:
        _, response = gateway(access).call(element("lookup", element("object", of.name)), stream=stream)
        return frozenset(
            (field.findtext("ID") or "").strip().upper()
            for row in response.rows
            for field in exact_xml.parse(row).iter("Field")
        )

    names = access.http.remember(f"lookup {of.name}", ask)
    roots = {name.partition(".")[0] for name in names}
    there = [name for name in of.fields if name in names or ("." in name and name.split(".")[0] in roots)]
    return frozenset(_required(access, of, there, stream=stream))


def _required(access: Access, of: Object, there: Sequence[str], *, stream: str) -> Sequence[str]:
    """These fields, if all that are required are among them; else Misconfigured."""
    missing = [name for name in of.required if name not in there]
    if missing:
        raise Misconfigured(
            f"{access.http.connector}, {stream}: {of.name} offers no {', '.join(missing)} to this user. "
            "Give the user the right to read it, or the company the subscription."
        )
    return there


def _known(access: Access, of: Object) -> Sequence[str]:
    """The fields to ask for, as far as this session knows."""
    return _fields(access).get(of, of.fields)


def _fields(access: Access) -> dict[Object, Sequence[str]]:
    return access.http.remember("fields", dict)


def _reduced(access: Access, of: Object, error: Failed, *, stream: str) -> bool:
    """Leaves out the fields that are not offered; False if that is not why the query failed."""
    before = _known(access, of)
    try:
        there = _looked_up(access, of, stream=stream)
        left = [name for name in before if name in there]
    except (Failed, NotOffered):
        said = {word for problem in error.errors for word in re.findall(r"[A-Z][A-Z0-9_.]+", problem.text)}
        left = [name for name in before if name not in said]
    _fields(access)[of] = _required(access, of, left, stream=stream)
    return len(left) < len(before)


def by_keys(access: Access, of: Object, name: str, keys: Iterable[str], *, stream: str) -> Iterator[bytes]:
    """The object's records whose field has one of these values."""
    wanted = sorted(set(keys), key=lambda key: (len(key), key))
    for at in range(0, len(wanted), KEYS_OF_ONE_REQUEST):
        where = compared("in", name, *wanted[at : at + KEYS_OF_ONE_REQUEST])
        for page in pages(access, of, where, stream=stream):
            yield from map(bytes, page.rows)


def value(access: Access, row: bytes, name: str, *, stream: str) -> str:
    """One value of a row, without reading the others where it stands plainly; '' where there is none."""
    start, end = b"<%b>" % name.encode(), b"</%b>" % name.encode()
    _, found, rest = row.partition(start)
    text, ended, _ = rest.partition(end)
    if found and ended and text.isalnum():
        return text.decode()
    return cells(access, row, stream=stream).get(name, "")


def cells(access: Access, row: bytes, *, stream: str) -> dict[str, str]:
    """A row's values; one that cannot be read is Rejected, because sums and joins need all of them."""
    try:
        return xml_rows.values(row)
    except Unreadable as error:
        raise Rejected(f"{access.http.connector}, {stream}: {error}") from error


def sums(access: Access, query: Query, *, stream: str) -> list[dict[str, str]]:
    """Sums and counts by group; `SUM.TOTALDUE` also where Intacct prints it as `TOTALDUE`."""
    found = []
    for row in gateway(access).all(query, stream=stream):
        values = cells(access, row, stream=stream)
        for prefix, names in (("SUM", query.sums), ("COUNT", query.counts)):
            for name in names:
                values.setdefault(f"{prefix}.{name}", values.get(name, "0"))
        found.append(values)
    return found


def exact(access: Access, text: str | None, field: str, *, stream: str) -> Decimal:
    """A sum or balance as an exact number, '' as nothing; Rejected for what is no amount."""
    try:
        amount(text or "0", "CLF", field)  # four decimals: checked again by its own currency
        return Decimal(text or "0")
    except Unreadable as error:
        raise Rejected(f"{access.http.connector}, {stream}: {error}") from error


def in_entities(access: Access) -> etree._Element | None:
    """The condition for the entities of the settings; None for all of them."""
    entities: Sequence[str] = access.settings.entities
    if not entities:
        return None
    named = [code for code in entities if code != TOP]
    conditions = [compared("in", "MEGAENTITYID", *named)] if named else []
    if TOP in entities:
        conditions.append(compared("isnull", "MEGAENTITYID"))
    return any_of(*conditions)


def entity_of(row: Mapping[str, str]) -> str:
    """The entity that a record belongs to."""
    return row.get("MEGAENTITYID") or TOP
