"""How objects of one Intacct are asked for: the gateway, the fields that it offers, lists by key.

Asks for all fields that we know; where Intacct refuses that, `lookup` tells which are there, once a session.
Raises Misconfigured only when a required field is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from lxml import etree

from connectors.kit import exact_xml, xml_rows
from connectors.kit.stream import Access, Page
from connectors.kit.xml_answer import Failed
from connectors.kit.xml_gateway import Gateway
from connectors.kit.xml_request import Query, any_of, compared, element
from connectors.systems.sage_intacct.fields import Object
from connectors.systems.sage_intacct.settings import TOP
from receivables.errors import Misconfigured, Rejected, Unreadable

KEY = "RECORDNO"
KEYS_OF_ONE_REQUEST = 500


def gateway(access: Access) -> Gateway:
    """The gateway of the connector; its session signs and knows the endpoint."""
    return access.http.remember("gateway", lambda: Gateway(access.http, access.settings.base_url))


def offered(access: Access, of: Object, *, stream: str) -> frozenset[str]:
    """The names of the object's fields, in upper case, as `lookup` tells them; asked for once a session."""

    def ask() -> frozenset[str]:
        function = element("lookup", element("object", of.name))
        _, response = gateway(access).call(function, stream=stream)
        names = {
            (field.findtext("ID") or "").strip().upper()
            for row in response.rows
            for field in exact_xml.parse(row).iter("Field")
        }
        missing = [name for name in of.required if name not in names]
        if missing:
            raise Misconfigured(
                f"{access.http.connector}, {stream}: {of.name} offers no {', '.join(missing)} to this user. "
                "Give the user the right to read it, or the company the subscription."
            )
        return frozenset(names)

    return access.http.remember(f"lookup {of.name}", ask)


def pages(
    access: Access, of: Object, where: etree._Element | None, *, stream: str, size: int | None = None
) -> Iterator[Page]:
    """The object's records under this condition, by RECORDNO to the explicit end."""
    asked = gateway(access)
    size = size or access.settings.page_size
    started = False
    try:
        for page in asked.pages(Query(of.name, _known(access, of), where), KEY, stream=stream, size=size):
            started = True
            yield page
    except Failed:
        if started or not _reduced(access, of, stream=stream):
            raise
        yield from asked.pages(Query(of.name, _known(access, of), where), KEY, stream=stream, size=size)


def _known(access: Access, of: Object) -> Sequence[str]:
    """The fields to ask for, as far as this session knows."""
    names: Mapping[str, Sequence[str]] = access.http.remember("fields", dict)
    return names.get(of.name + of.fields[-1], of.fields)


def _reduced(access: Access, of: Object, *, stream: str) -> bool:
    """Leaves out the fields that `lookup` does not know; False if it knows them all."""
    there = offered(access, of, stream=stream)
    left = [name for name in of.fields if name in there or "." in name]
    left = [name for name in left if "." not in name or name.partition(".")[0] in _roots(there)]
    if len(left) == len(_known(access, of)):
        return False
    names: dict[str, Sequence[str]] = access.http.remember("fields", dict)
    names[of.name + of.fields[-1]] = left
    return True


def _roots(there: Iterable[str]) -> set[str]:
    return {name.partition(".")[0] for name in there}


def by_keys(access: Access, of: Object, name: str, keys: Iterable[str], *, stream: str) -> Iterator[bytes]:
    """The object's records whose field has one of these values."""
    wanted = sorted(set(keys), key=lambda key: (len(key), key))
    for at in range(0, len(wanted), KEYS_OF_ONE_REQUEST):
        where = compared("in", name, *wanted[at : at + KEYS_OF_ONE_REQUEST])
        for page in pages(access, of, where, stream=stream):
            yield from map(bytes, page.rows)


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
