"""Query options of an OData V2 request, and the rows they choose: filter, order, aggregation, page.

Imitated: $select, $filter, $orderby, $top, $skip, $skiptoken, $inlinecount, $format ([F] OpenAPI parameters;
$skiptoken [K]). Options that begin with $ and are not listed are refused; others (`sap-client`,
`sap-language`) are accepted and change nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from operator import itemgetter
from typing import Any

from sandbox.edmx import EntityType
from sandbox.filters import BadQuery, Column, OneOf, Parser

KNOWN = {"$select", "$filter", "$orderby", "$top", "$skip", "$skiptoken", "$inlinecount", "$format"}
Order = tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class Options:
    """The options of one request; `select` is empty when everything is asked for."""

    select: tuple[str, ...]
    filter: str
    order: Order
    top: int | None
    skip: int
    count: bool


def read_options(query: Mapping[str, str], declared: EntityType) -> Options:
    """Check and read the options.

    Raises:
        BadQuery: an option or a property is unknown, or a number is not one.
    """
    for name in query:
        if name.startswith("$") and name not in KNOWN:
            raise BadQuery(f"The query option '{name}' is not imitated")
    select = tuple(part.strip() for part in query.get("$select", "").split(",") if part.strip())
    if select == ("*",):
        select = ()
    for name in select:
        if name not in declared.properties:
            raise BadQuery(f"Property {name} not found in type {declared.name.split('.')[-1]}")
    if query.get("$inlinecount", "none") not in ("none", "allpages"):
        raise BadQuery("Invalid value for $inlinecount")
    return Options(
        select=select,
        filter=query.get("$filter", "").strip(),
        order=_read_order(query.get("$orderby", ""), declared),
        top=_number(query, "$top"),
        skip=(_number(query, "$skip") or 0) + (_number(query, "$skiptoken") or 0),
        count=query.get("$inlinecount") == "allpages",
    )


def _number(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name)
    if text is None:
        return None
    if not text.isdecimal():
        raise BadQuery(f"Invalid value '{text}' for {name}")
    return int(text)


def _read_order(text: str, declared: EntityType) -> Order:
    order = []
    for part in text.split(","):
        words = part.split()
        if not words:
            continue
        if words[0] not in declared.properties or words[1:] not in ([], ["asc"], ["desc"]):
            raise BadQuery(f"Invalid $orderby '{part.strip()}'")
        order.append((words[0], words[1:] == ["desc"]))
    return tuple(order)


@dataclass(frozen=True)
class Chosen:
    """The rows that a query chooses, before paging, and the columns they are printed by."""

    rows: Sequence[Any]
    columns: Mapping[str, Column]


class Chooser:
    """Chooses rows and remembers the last few choices, because clients read page after page."""

    def __init__(self) -> None:
        self._memory: OrderedDict[Hashable, Chosen] = OrderedDict()

    def choose(
        self,
        version: Hashable,
        declared: EntityType,
        columns: Mapping[str, Column],
        rows: Callable[[Collection[str] | None], Sequence[Any]],
        options: Options,
    ) -> Chosen:
        """Filter, aggregate where the set does so, and order; `version` names the state of the rows.

        `rows` is told the values of the key's first property that the filter is about, or None for all.
        """
        aggregated = declared.aggregates and "ID" not in options.select and options.select
        key = (
            version,
            declared.set_name,
            options.filter,
            options.order,
            options.select if aggregated else (),
        )
        if key in self._memory:
            self._memory.move_to_end(key)
            return self._memory[key]
        if options.filter:
            test = Parser(options.filter, declared.properties, columns).parse()
            named = test.values if isinstance(test, OneOf) and test.name == declared.key[0] else None
            chosen = [row for row in rows(named) if test(row)]
        else:
            chosen = list(rows(None))
        if aggregated:
            chosen = aggregate(chosen, options.select, declared, columns)
            columns = {name: itemgetter(name) for name in options.select}
        for name, descending in reversed(options.order):
            if name not in columns:
                raise BadQuery(f"$orderby '{name}' must be selected in an aggregating set")
            chosen.sort(key=_sort_key(name, columns[name]), reverse=descending)
        self._memory[key] = result = Chosen(chosen, columns)
        while len(self._memory) > 16:
            self._memory.popitem(last=False)
        return result


def _sort_key(name: str, column: Column) -> Column:
    if name == "AccountingDocumentItem":
        return lambda row: int(column(row))
    return lambda row: (column(row) is not None, column(row))


def aggregate(
    rows: Sequence[Any], select: Sequence[str], declared: EntityType, columns: Mapping[str, Column]
) -> list[dict[str, Any]]:
    """Sum the selected measures over the selected dimensions and the currencies of the measures."""
    measures = [name for name in select if declared.properties[name].is_measure]
    units = {declared.properties[name].unit for name in measures} - set(select)
    dimensions = [name for name in select if name not in measures] + sorted(unit for unit in units if unit)
    groups: dict[tuple[Any, ...], list[Decimal]] = {}
    get_dimensions = [columns[name] for name in dimensions]
    get_measures = [columns[name] for name in measures]
    for row in rows:
        key = tuple(get(row) for get in get_dimensions)
        values = [get(row) for get in get_measures]
        held = groups.get(key)
        groups[key] = values if held is None else [a + b for a, b in zip(held, values, strict=True)]
    return [
        {**dict(zip(dimensions, key, strict=True)), **dict(zip(measures, values, strict=True))}
        for key, values in groups.items()
    ]
