"""Customers: one in each entity whose documents name it.

Intacct's customers belong to the top level (or to one entity) and are used by any; ours belong to an entity.
So the first load reads no list of customers: the hub asks by key for those that items name, and later runs
read those that changed, or whose terms did, in the entities that use them. A raw row is the join: the entity,
the customer, and the terms that it names, whose description is shown: due dates stand on the documents and do
not follow a change of terms. Refuses nothing but what cannot be a key: a text that cannot be read leaves the
customer without it, and a reject.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from lxml import etree

from connectors.kit import xml_rows
from connectors.kit.failures import NotOffered
from connectors.kit.stream import Access, Adapted, Page, Row, Slice
from connectors.kit.xml_answer import Failed
from connectors.kit.xml_request import Query, all_of, compared, element
from connectors.systems.sage_intacct.asking import by_keys, cells, entity_of, in_entities, pages, sums
from connectors.systems.sage_intacct.fields import (
    ADJUSTMENT,
    ADVANCE,
    CUSTOMER,
    INVOICE,
    PAYMENT,
    TERM,
    Object,
)
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
    """The customers that changed, and those of terms that did, in each entity that uses them."""
    number = 0
    for page in pages(access, CUSTOMER, where, stream=STREAM):
        number = page.number
        yield Page(number, _in_entities(access, page.rows), last=False, warnings=page.warnings)
    terms = _changed_terms(access, where)
    rows = list(by_keys(access, CUSTOMER, "TERMNAME", terms, stream=STREAM)) if terms else []
    yield Page(number + 1, _in_entities(access, rows), last=True)


def _changed_terms(access: Access, where: etree._Element) -> list[str]:
    """The names of the terms that changed; those without a moment of change are not among them."""
    try:
        found = [cells(access, row, stream=STREAM) for row in _rows(access, TERM, where)]
    except (NotOffered, Failed):  # Failed: this company's terms have no moment of change
        return []
    return [row["NAME"] for row in found if row.get("NAME") and row.get("WHENMODIFIED")]


def _in_entities(access: Access, rows: Sequence[Row]) -> list[bytes]:
    """These customers, in each entity that uses them."""
    customers = [(cells(access, row, stream=STREAM), row) for row in map(bytes, rows)]
    numbers = [values["CUSTOMERID"] for values, _ in customers if values.get("CUSTOMERID")]
    entities = _entities(access, numbers)
    return [
        _joined(access, code, values, row)
        for values, row in customers
        for code in sorted(entities.get(values.get("CUSTOMERID", ""), ()))
    ]


def _rows(access: Access, of: Object, where: etree._Element | None) -> list[bytes]:
    return [bytes(row) for page in pages(access, of, where, stream=STREAM) for row in page.rows]


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
        _joined(access, code, values, row)
        for row in by_keys(access, CUSTOMER, "CUSTOMERID", entities, stream=STREAM)
        for values in (cells(access, row, stream=STREAM),)
        for code in entities.get(values.get("CUSTOMERID", ""), ())
    ]
    yield Page(1, rows, last=True)


def _joined(access: Access, code: str, values: Mapping[str, str], row: bytes) -> bytes:
    entity = etree.tostring(element("ENTITY", element("CODE", code)), encoding="unicode").encode()
    terms = _terms(access).get(values.get("TERMNAME", ""))
    return xml_rows.joined(JOIN, [entity, row, *([terms] if terms else [])])


def _terms(access: Access) -> Mapping[str, bytes]:
    """All terms by name, asked for once a session; none where the user may not read them."""

    def ask() -> dict[str, bytes]:
        with contextlib.suppress(NotOffered):
            return {
                cells(access, row, stream=STREAM).get("NAME", ""): row for row in _rows(access, TERM, None)
            }
        return {}

    return access.http.remember("terms", ask)


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
                entity, customer, *terms = (xml_rows.values(part) for part in xml_rows.parts(row)[1])
                name = f"{entity.get('CODE', '')}/{customer.get('CUSTOMERID', '')}"
                made: Record = _customer(entity.get("CODE"), customer, terms[0] if terms else {}, faults)
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


def _customer(
    entity: str | None, row: Mapping[str, str], terms: Mapping[str, str], faults: list[Unreadable]
) -> Customer:
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
        payment_terms=_or_none(text_or_none, _described(row.get("TERMNAME"), terms), "TERMNAME", faults),
        email=text("DISPLAYCONTACT.EMAIL1"),
        native_id=text("RECORDNO"),
        blocked=row.get("ONHOLD", "").lower() == "true" or row.get("STATUS", "").lower() == "inactive",
    )


def _described(name: str | None, terms: Mapping[str, str]) -> str | None:
    """The name of terms with what they mean: `Net 30: 30 days net`."""
    days = terms.get("DUEDATE")
    rule = f"due in {days} days {terms.get('DUEFROM', '')}".rstrip() if days else None
    meaning = terms.get("DESCRIPTION") or rule
    return f"{name}: {meaning}" if name and meaning and meaning != name else name


def _or_none(
    check: Callable[[Any, str], Value], value: object, name: str, faults: list[Unreadable]
) -> Value | None:
    """The checked value; a fault is kept and leaves None."""
    try:
        return check(value, name)
    except Unreadable as fault:
        faults.append(fault)
        return None
