"""Customers: one in each entity whose documents name it.

Intacct's customers belong to the top level (or to one entity) and are used by any; ours belong to an entity.
So the first load reads no list of customers: the hub asks by key for those that items name, and later runs
read those that changed, in the entities that use them. A raw row is the join: the entity, then the customer.
Refuses nothing but what cannot be a key: a text that cannot be read leaves the customer without it, and a
reject.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from lxml import etree

from connectors.kit import xml_rows
from connectors.kit.failures import NotOffered
from connectors.kit.stream import Access, Adapted, Page, Row, Slice
from connectors.kit.xml_request import Query, all_of, compared, element
from connectors.systems.sage_intacct.asking import by_keys, cells, entity_of, in_entities, pages, sums
from connectors.systems.sage_intacct.fields import ADJUSTMENT, ADVANCE, CUSTOMER, INVOICE, PAYMENT
from receivables.errors import Unreadable
from receivables.records import Customer, Record
from receivables.values import key, text_or_none

STREAM: Final = "customers"
JOIN: Final = "IN_ENTITY"
USES: Final = (INVOICE, ADJUSTMENT, ADVANCE, PAYMENT)
KEYS_OF_ONE_REQUEST: Final = 200

Value = TypeVar("Value")


# -- reading -----------------------------------------------------------------------------------------------


def changed(access: Access, where: etree._Element) -> Iterator[Page]:
    """The customers that changed, in each entity that uses them."""
    for page in pages(access, CUSTOMER, where, stream=STREAM):
        rows = [bytes(row) for row in page.rows]
        numbers = [cells(access, row, stream=STREAM).get("CUSTOMERID", "") for row in rows]
        entities = _entities(access, [number for number in numbers if number])
        joined = [
            _joined(code, row)
            for number, row in zip(numbers, rows, strict=True)
            for code in sorted(entities.get(number, ()))
        ]
        yield Page(page.number, joined, page.last, page.warnings)


def by_number(access: Access, keys: Sequence[tuple[str, str]]) -> Slice:
    """These customers (entity, number), by key."""
    name = f"{STREAM}/by-key/{access.now.isoformat()}"
    return Slice(STREAM, name, partial(pages_of, keys=tuple(keys)), "customers")


def pages_of(access: Access, keys: Sequence[tuple[str, str]]) -> Iterator[Page]:
    """One page of the customers of these keys that Intacct shows."""
    entities: dict[str, list[str]] = defaultdict(list)
    for code, number in keys:
        entities[number].append(code)
    rows = [
        _joined(code, row)
        for row in by_keys(access, CUSTOMER, "CUSTOMERID", entities, stream=STREAM)
        for code in entities.get(cells(access, row, stream=STREAM).get("CUSTOMERID", ""), ())
    ]
    yield Page(1, rows, last=True)


def _joined(code: str, row: bytes) -> bytes:
    entity = element("ENTITY", element("CODE", code))
    return xml_rows.joined(JOIN, [etree.tostring(entity, encoding="unicode").encode(), row])


def _entities(access: Access, numbers: Sequence[str]) -> Mapping[str, set[str]]:
    """By customer the entities whose documents and payments name it."""
    found: dict[str, set[str]] = defaultdict(set)
    for of in USES:
        for at in range(0, len(numbers), KEYS_OF_ONE_REQUEST):
            some = compared("in", "CUSTOMERID", *numbers[at : at + KEYS_OF_ONE_REQUEST])
            group = ("CUSTOMERID", "MEGAENTITYID")
            query = Query(of.name, group, all_of(some, in_entities(access)), group, counts=("RECORDNO",))
            try:
                rows = sums(access, query, stream=STREAM)
            except NotOffered:
                continue
            for row in rows:
                found[row.get("CUSTOMERID", "")].add(entity_of(row))
    return found


# -- adapting ----------------------------------------------------------------------------------------------


class Customers:
    """Adapts joined rows of customers."""

    def __call__(self, rows: Sequence[Row]) -> Adapted:
        """One Customer a row; what cannot be read of it is None and an open reject."""
        adapted = Adapted()
        for place, raw in enumerate(rows):
            row, name = bytes(raw), ""
            faults: list[Unreadable] = []
            try:
                entity, customer = (xml_rows.values(part) for part in xml_rows.parts(row)[1])
                name = f"{entity.get('CODE', '')}/{customer.get('CUSTOMERID', '')}"
                made: Record = _customer(entity.get("CODE"), customer, faults)
            except Unreadable as error:
                error.key = name or None
                adapted.unreadable.append((row, error))
                continue
            for fault in faults:
                fault.key = name
                adapted.unreadable.append((row, fault))
            adapted.records.append(made)
            if not faults:
                adapted.keys.append((place, name.encode()))
        return adapted


def _customer(entity: str | None, row: Mapping[str, str], faults: list[Unreadable]) -> Customer:
    def text(name: str) -> str | None:
        return _or_none(text_or_none, row.get(name), name, faults)

    number = key(row.get("CUSTOMERID"), "CUSTOMERID")
    parent = row.get("PARENTID")
    return Customer(
        number=number,
        entity=key(entity, "MEGAENTITYID"),
        printed=number,
        name=text("NAME"),
        country=text("DISPLAYCONTACT.MAILADDRESS.COUNTRYCODE"),
        vat_id=text("TAXID"),
        head_office=_or_none(key, parent, "PARENTID", faults) if parent else None,
        control_account=text("OFFSETGLACCOUNTNO"),
        currency=text("CURRENCY"),
        payment_terms=text("TERMNAME"),
        email=text("DISPLAYCONTACT.EMAIL1"),
        blocked=row.get("ONHOLD", "").lower() == "true" or row.get("STATUS", "").lower() == "inactive",
    )


def _or_none(
    check: Callable[[Any, str], Value], value: object, name: str, faults: list[Unreadable]
) -> Value | None:
    """The checked value; a fault is kept and leaves None."""
    try:
        return check(value, name)
    except Unreadable as fault:
        faults.append(fault)
        return None
