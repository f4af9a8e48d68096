"""The element tree of a `query` filter -> a function that says whether a row passes.

Imitated: equalto, notequalto, lessthan(orequalto), greaterthan(orequalto), between (the earlier value first),
in, notin, like, notlike, isnull, isnotnull, and, or, nested ([F] recorded requests, [D] schema of the queries
page: one operator at the top, two or more below and/or, at most 1000 values). Comparing null with anything is
false, as in SQL [K]. It refuses everything else with `BadQuery`.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from lxml import etree

from sandbox.intacct.fields import Field, Objects, ObjectType, UnknownField, find
from sandbox.intacct.wire import BadValue, value

Test = Callable[[Any], bool]

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "equalto": operator.eq,
    "notequalto": operator.ne,
    "lessthan": operator.lt,
    "lessthanorequalto": operator.le,
    "greaterthan": operator.gt,
    "greaterthanorequalto": operator.ge,
}
LARGEST_LIST = 1000


class BadQuery(ValueError):
    """A query that the gateway cannot read; `number` is the vendor's, as far as it is known."""

    def __init__(self, message: str, number: str = "Query Failed") -> None:
        super().__init__(message)
        self.number = number


def field_of(objects: Objects, of: ObjectType, name: str) -> Field:
    """Find a field, or refuse the query."""
    try:
        return find(objects, of, name)
    except UnknownField as error:
        raise BadQuery(str(error)) from error


def predicate(element: etree._Element, objects: Objects, of: ObjectType, *, ignore_case: bool) -> Test:
    """Read the content of a `filter` element."""
    children = list(element)
    if len(children) != 1:
        raise BadQuery(f"filter holds {len(children)} operators: only one is allowed at the top level")
    return _operator(children[0], objects, of, ignore_case=ignore_case)


def _operator(element: etree._Element, objects: Objects, of: ObjectType, *, ignore_case: bool) -> Test:
    name = str(element.tag)
    if name in ("and", "or"):
        tests = [_operator(child, objects, of, ignore_case=ignore_case) for child in element]
        if len(tests) < 2:
            raise BadQuery(f"{name} needs two conditions or more")
        return partial(_all if name == "and" else _any, tests)
    children = [(str(child.tag), child.text or "") for child in element]
    if not children or children[0][0] != "field" or any(tag != "value" for tag, _ in children[1:]):
        raise BadQuery(f"{name} holds one field, then its values")
    field = field_of(objects, of, children[0][1])
    texts = [text for _, text in children[1:]]
    if name in ("isnull", "isnotnull"):
        return partial(_null, field.get, name == "isnull")
    if name in ("like", "notlike"):
        return _like(field, texts, wanted=name == "like", ignore_case=ignore_case)
    return _compared(name, field, texts, ignore_case=ignore_case)


def _compared(name: str, field: Field, texts: Sequence[str], *, ignore_case: bool) -> Test:
    try:
        values = [value(text, field.type) for text in texts]
    except BadValue as error:
        raise BadQuery(f"Invalid value for field {field.name}: {error}") from error
    fold = ignore_case and field.type == "TEXT"
    if fold:
        values = [text.casefold() for text in values]
    get = partial(_folded, field.get) if fold else field.get
    if name in COMPARISONS and len(values) == 1:
        return partial(_holds, get, COMPARISONS[name], values[0])
    if name == "between" and len(values) == 2:
        low, high = values
        return partial(_between, get, low, high)
    if name in ("in", "notin") and 1 <= len(values) <= LARGEST_LIST:
        return partial(_in, get, frozenset(values), name == "in")
    raise BadQuery(f"Operator {name} with {len(values)} values is not known")


def _like(field: Field, texts: Sequence[str], *, wanted: bool, ignore_case: bool) -> Test:
    if len(texts) != 1:
        raise BadQuery("like takes one value")
    words = "".join({"%": ".*", "_": "."}.get(letter, re.escape(letter)) for letter in texts[0])
    pattern = re.compile(words, re.DOTALL | (re.IGNORECASE if ignore_case else 0))

    def test(row: Any) -> bool:
        held = field.get(row)
        return held not in (None, "") and (pattern.fullmatch(str(held)) is not None) is wanted

    return test


def _all(tests: Sequence[Test], row: Any) -> bool:
    return all(test(row) for test in tests)


def _any(tests: Sequence[Test], row: Any) -> bool:
    return any(test(row) for test in tests)


def _folded(get: Callable[[Any], Any], row: Any) -> Any:
    held = get(row)
    return held.casefold() if isinstance(held, str) else held


def _null(get: Callable[[Any], Any], wanted: bool, row: Any) -> bool:  # noqa: FBT001 - bound by partial
    return (get(row) in (None, "")) is wanted


def _holds(get: Callable[[Any], Any], compare: Callable[[Any, Any], bool], other: Any, row: Any) -> bool:
    held = get(row)
    return held is not None and held != "" and compare(held, other)


def _between(get: Callable[[Any], Any], low: Any, high: Any, row: Any) -> bool:
    held = get(row)
    return held is not None and held != "" and low <= held <= high


def _in(get: Callable[[Any], Any], values: frozenset[Any], wanted: bool, row: Any) -> bool:  # noqa: FBT001
    held = get(row)
    return held not in (None, "") and (held in values) is wanted
