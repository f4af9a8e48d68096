"""Entities -> legal entities, with the base currency that their documents name.

The company itself is the entity TOP where documents belong to no entity. An entity that has no document yet
and does not tell its currency is left out until it has one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from lxml import etree

from connectors.kit import xml_rows
from connectors.kit.failures import NotOffered
from connectors.kit.stream import Access, Adapted, Page, Row, Slice
from connectors.kit.xml_request import Query, element
from connectors.systems.sage_intacct.asking import cells, entity_of, in_entities, pages, sums
from connectors.systems.sage_intacct.fields import ADJUSTMENT, ADVANCE, ENTITY, INVOICE, PAYMENT
from connectors.systems.sage_intacct.settings import TOP, Settings
from receivables.errors import Misconfigured, Unreadable
from receivables.money import currency
from receivables.records import LegalEntity
from receivables.values import key, text_or_none

STREAM: Final = "legal_entities"
JOIN: Final = "WITH_CURRENCY"
GROUP: Final = ("MEGAENTITYID", "BASECURR", "CURRENCY")


def slice_() -> Slice:
    """All entities, in one slice."""
    return Slice(STREAM, STREAM, entity_pages, "legal_entities")


def entity_pages(access: Access) -> Iterator[Page]:
    """One page: the entities of the settings, or all; Misconfigured for one that is not shown."""
    currencies = base_currencies(access, stream=STREAM)
    shown = {code: row for code, row in _shown(access).items() if _wanted(access, code)}
    if TOP in currencies and _wanted(access, TOP):
        shown[TOP] = _described(TOP, access.settings.company_id)
    missing = [code for code in access.settings.entities if code not in shown and code != TOP]
    if missing:
        raise Misconfigured(
            f"{access.http.connector}, {STREAM}: Intacct does not show the entities {', '.join(missing)} to "
            "this user. Correct `entities`, or give the user access to them."
        )
    rows = []
    for code, row in shown.items():
        of = cells(access, row, stream=STREAM).get("CURRENCY") or currencies.get(code)
        of = of or access.settings.base_currency
        if of:
            told = etree.tostring(element("BASE", element("CURRENCY", of)), encoding="unicode").encode()
            rows.append(xml_rows.joined(JOIN, [row, told]))
    yield Page(1, rows, last=True)


def codes(access: Access, *, stream: str) -> list[str]:
    """The codes of all entities that have documents, of those that are to be read."""
    return sorted(code for code in base_currencies(access, stream=stream) if _wanted(access, code))


def base_currencies(access: Access, *, stream: str) -> Mapping[str, str]:
    """By entity the base currency that its documents name."""
    found: dict[str, str] = {}
    for row in _groups(access, stream=stream):
        code, named = entity_of(row), row.get("BASECURR") or access.settings.base_currency
        if named and found.setdefault(code, named) != named:
            raise Misconfigured(
                f"{access.http.connector}, {stream}: entity {code} has documents in two base currencies, "
                f"{found[code]} and {named}. Name its entities apart."
            )
    return found


def with_foreign(access: Access, *, stream: str) -> set[str]:
    """The entities that have documents in another currency than their own."""
    rows = _groups(access, stream=stream)
    return {entity_of(row) for row in rows if row.get("CURRENCY", "") not in ("", row.get("BASECURR"))}


def _groups(access: Access, *, stream: str) -> list[dict[str, str]]:
    """How many documents there are by entity and currencies; asked for once a session."""

    def ask() -> list[dict[str, str]]:
        found: list[dict[str, str]] = []
        for of in (INVOICE, ADJUSTMENT, PAYMENT, ADVANCE):
            query = Query(of.name, GROUP, in_entities(access), GROUP, counts=("RECORDNO",))
            with contextlib.suppress(NotOffered):
                found += sums(access, query, stream=stream)
        return found

    return access.http.remember("groups", ask)


def _shown(access: Access) -> dict[str, bytes]:
    """The rows of the entities that Intacct shows, by code; none in a company without entities."""
    try:
        rows = [bytes(row) for page in pages(access, ENTITY, None, stream=STREAM) for row in page.rows]
    except NotOffered:
        return {}
    return {cells(access, row, stream=STREAM).get("LOCATIONID", ""): row for row in rows}


def _wanted(access: Access, code: str) -> bool:
    return not access.settings.entities or code in access.settings.entities


def _described(code: str, name: str) -> bytes:
    row = element(ENTITY.name, element("LOCATIONID", code), element("NAME", name))
    return etree.tostring(row, encoding="unicode").encode()


class Entities:
    """Adapts entities."""

    def __init__(self, settings: Settings) -> None:
        self._zones = settings.zones

    def __call__(self, rows: Sequence[Row]) -> Adapted:
        """One LegalEntity a row."""
        adapted = Adapted()
        for place, raw in enumerate(rows):
            try:
                entity, base = (xml_rows.values(part) for part in xml_rows.parts(bytes(raw))[1])
                code = key(entity.get("LOCATIONID"), "LOCATIONID")
                made = LegalEntity(
                    code=code,
                    name=text_or_none(entity.get("NAME"), "NAME") or code,
                    country=None,
                    currency=currency(base.get("CURRENCY", ""), "CURRENCY"),
                    vat_id=text_or_none(entity.get("TAXID"), "TAXID"),
                    zone=self._zones.get(code),
                )
            except Unreadable as error:
                adapted.unreadable.append((bytes(raw), error))
                continue
            adapted.records.append(made)
            adapted.keys.append((place, code.encode()))
        return adapted
