"""The `query` function: select, aggregates, filter, order, page; and the rows that a user may see.

Source: recorded requests [F], examples and schema of the vendor's queries page [D]: pages of 1 to 2000,
default 100; no order unless asked; attributes listtype, totalcount, offset, count, numremaining. How a sum
is named in the answer is not verified: one documented example prints `COUNT.RECORDNO`, another prints a sum
under the field's own name; `prefixed_sums` chooses [K]. It refuses what the schema refuses, with `BadQuery`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from operator import itemgetter
from typing import Any

from lxml import etree

from sandbox.intacct.envelope import put
from sandbox.intacct.fields import Field, Get, Objects, ObjectType
from sandbox.intacct.filters import BadQuery, field_of, predicate
from sandbox.intacct.wire import text

LARGEST_PAGE = 2000
DEFAULT_PAGE = 100
PARTS = {"select", "object", "docparid", "pagesize", "orderby", "options", "offset", "filter"}
OPTIONS = {"caseinsensitive", "showprivate", "returnformat"}
SHUFFLE = 2654435761  # a multiplier that scatters consecutive keys (Knuth)


@dataclass(frozen=True)
class Column:
    """A column of an answer: a field, or an aggregate of one."""

    name: str
    field: Field
    aggregate: str = ""


@dataclass(frozen=True)
class Page:
    """The data element of an answer, and its figures for the access log."""

    data: etree._Element
    object: str
    rows: int


@dataclass
class Reader:
    """Answers queries over the objects of one company."""

    objects: Objects
    prefixed_sums: bool = True

    def object_named(self, name: str) -> ObjectType:
        """Find an object by its name; the words of the error are recorded ones [F]."""
        found = self.objects.get(name.upper())
        if found is None:
            raise BadQuery(f"Object definition {name} not found")
        return found

    def query(self, element: etree._Element, location: str) -> Page:
        """Answer a `query`.

        Raises:
            BadQuery: an element, object, field, value or number is not known or out of range.
        """
        parts = {str(child.tag): child for child in element}
        unknown = set(parts) - PARTS
        if unknown or len(parts) != len(element) or "select" not in parts or "object" not in parts:
            raise BadQuery(f"query holds select, object and, once each, {', '.join(sorted(PARTS))}")
        of = self.object_named(parts["object"].text or "")
        options = _options(parts.get("options"))
        columns = self._columns(parts["select"], of)
        rows = self.visible(of, location, private=options.get("showprivate") == "true")
        if "filter" in parts:
            test = predicate(
                parts["filter"], self.objects, of, ignore_case=options.get("caseinsensitive") == "true"
            )
            rows = [row for row in rows if test(row)]
        order = _order(parts.get("orderby"))
        if any(column.aggregate for column in columns):
            printed = [_texts(values) for values in _grouped(rows, columns, order)]
        else:
            printed = []
            rows = self._ordered(rows, of, order)
        size = _number(parts.get("pagesize"), DEFAULT_PAGE, 1, LARGEST_PAGE, "pagesize")
        offset = _number(parts.get("offset"), 0, 0, 10**9, "offset")
        total = len(printed or rows)
        if not printed:
            chosen = rows[offset : offset + size]
            printed_page = [[text(column.field.get(row)) for column in columns] for row in chosen]
        else:
            printed_page = printed[offset : offset + size]
        data = etree.Element("data")
        count = len(printed_page)
        for name, figure in (
            ("listtype", of.name), ("totalcount", total), ("offset", offset), ("count", count),
            ("numremaining", max(total - offset - count, 0)),
        ):  # fmt: skip
            data.set(name, str(figure))
        write_rows(data, of.name, [column.name for column in columns], printed_page)
        return Page(data, of.name, count)

    def visible(self, of: ObjectType, location: str, *, private: bool) -> list[Any]:
        """Give the rows that a user sees: all but private entities, or one entity's and the top level's."""
        if location:
            return [row for row in of.rows() if _owner(of, row) in ("", location)]
        if private:
            return list(of.rows())
        return [row for row in of.rows() if not ((owner := of.entity(row)) and owner.private)]

    def _columns(self, select: etree._Element, of: ObjectType) -> list[Column]:
        columns = []
        for child in select:
            kind, name = str(child.tag), child.text or ""
            if kind not in ("field", "count", "avg", "min", "max", "sum"):
                raise BadQuery(f"select does not hold {kind}")
            found = field_of(self.objects, of, name)
            if kind == "field":
                columns.append(Column(name, found))
            else:
                prefix = f"{kind.upper()}." if self.prefixed_sums or kind == "count" else ""
                columns.append(Column(prefix + name, found, kind))
        if not columns:
            raise BadQuery("select is empty")
        return columns

    def _ordered(self, rows: list[Any], of: ObjectType, order: Sequence[tuple[str, bool]]) -> list[Any]:
        """Order the rows; without an order they come scattered, as "undefined" allows [D]."""
        if not order:
            key = of.key_field.get
            return sorted(rows, key=lambda row: int(key(row)) * SHUFFLE % 2**32)
        for name, descending in reversed(order):
            get = field_of(self.objects, of, name).get
            rows.sort(key=_by(get), reverse=descending)
        return rows


def write_rows(
    data: etree._Element, name: str, columns: Sequence[str], rows: Sequence[Sequence[str | None]]
) -> None:
    """Print rows; null is an empty element in two rows of three and left out in the third [F: both]."""
    for position, row in enumerate(rows):
        element = put(data, name)
        for column, cell in zip(columns, row, strict=True):
            if cell is not None or position % 3:
                put(element, column, cell)


def _owner(of: ObjectType, row: Any) -> str:
    entity = of.entity(row)
    return entity.code if entity else ""


def _options(element: etree._Element | None) -> Mapping[str, str]:
    found = {} if element is None else {str(child.tag): child.text or "" for child in element}
    if set(found) - OPTIONS:
        raise BadQuery(f"options holds {', '.join(sorted(OPTIONS))}")
    if found.get("returnformat", "xml") != "xml":
        raise BadQuery("The sandbox answers in XML only")
    return found


def _order(element: etree._Element | None) -> list[tuple[str, bool]]:
    order = []
    for child in () if element is None else element:
        parts = [(str(part.tag), part.text or "") for part in child]
        if child.tag != "order" or not parts or parts[0][0] != "field":
            raise BadQuery("orderby holds order elements with a field, then ascending or descending")
        if [tag for tag, _ in parts[1:]] not in ([], ["ascending"], ["descending"]):
            raise BadQuery("an order is ascending or descending")
        order.append((parts[0][1], parts[-1][0] == "descending"))
    return order


def _number(element: etree._Element | None, default: int, least: int, most: int, name: str) -> int:
    if element is None:
        return default
    given = element.text or ""
    if not given.isdecimal() or not least <= int(given) <= most:
        raise BadQuery(f"Invalid {name} {given}: it must be between {least} and {most}")
    return int(given)


def _by(get: Get) -> Callable[[Any], tuple[bool, Any]]:
    """Sort by a value, null first."""

    def key(row: Any) -> tuple[bool, Any]:
        held = get(row)
        return (held not in (None, ""), None if held == "" else held)

    return key


def _grouped(
    rows: Sequence[Any], columns: Sequence[Column], order: Sequence[tuple[str, bool]]
) -> list[list[Any]]:
    """Group by the plain columns and aggregate the others; without plain columns there is one row."""
    by = [column for column in columns if not column.aggregate]
    groups: dict[tuple[Any, ...], list[Any]] = {}
    for row in rows:
        groups.setdefault(tuple(column.field.get(row) for column in by), []).append(row)
    if not by and not groups:
        groups[()] = []
    found = []
    for key, members in groups.items():
        held = iter(key)
        found.append(
            [AGGREGATES[c.aggregate](_held(c, members)) if c.aggregate else next(held) for c in columns]
        )
    names = [column.name for column in columns]
    for name, descending in reversed(order):
        if name not in names:
            raise BadQuery(f"orderby {name} must be in select beside an aggregate")
        position = names.index(name)
        found.sort(key=_by(itemgetter(position)), reverse=descending)
    return found


def _held(column: Column, rows: Sequence[Any]) -> list[Any]:
    return [held for row in rows if (held := column.field.get(row)) not in (None, "")]


def _average(values: Sequence[Any]) -> Any:
    if not values:
        return None
    return (Decimal(sum(values)) / len(values)).quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)


AGGREGATES: dict[str, Callable[[Sequence[Any]], Any]] = {
    "count": len,
    "sum": lambda values: sum(values) if values else None,
    "min": lambda values: min(values, default=None),
    "max": lambda values: max(values, default=None),
    "avg": _average,
}


def _texts(values: Sequence[Any]) -> list[str | None]:
    return [text(held) for held in values]
