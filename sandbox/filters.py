"""OData V2 `$filter` and key predicates: text -> a function that says whether a row passes.

Imitated: eq, ne, gt, ge, lt, le, and, or, not, parentheses, and the literals null, true, false, text with
doubled quotes, datetime'', datetimeoffset'', guid'' and numbers (OData V2 "Primitive Data Types", "Filter
System Query Option" [D]). Everything else, and a literal of another type than its property's, is refused
with `BadQuery`. Comparing null with gt, ge, lt or le is false, as in SQL.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sandbox.edmx import Property

Test = Callable[[Any], bool]
Column = Callable[[Any], Any]

TOKEN = re.compile(
    r"\s*(?:(?P<open>\()|(?P<close>\))|(?P<comma>,)|(?P<equals>=)"
    r"|(?P<typed>(?:datetimeoffset|datetime|guid|time)'(?:[^']|'')*')"
    r"|(?P<text>'(?:[^']|'')*')"
    r"|(?P<number>-?\d+(?:\.\d+)?[mMdDfFlL]?)(?![\w'])"
    r"|(?P<name>[A-Za-z_][A-Za-z_0-9]*))"
)


def always(value: Any) -> Column:
    """Give the column that has one value in every row."""
    return lambda _row: value


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}


@dataclass(frozen=True)
class OneOf:
    """The test that a property has one of some values: `A eq '1' or A eq '2'`, and `A eq '1'` alone."""

    name: str
    column: Column
    values: frozenset[Any]

    def __call__(self, row: Any) -> bool:
        """Say whether a row passes."""
        return self.column(row) in self.values


class BadQuery(ValueError):
    """A query option that the service cannot read; `code` is the vendor's, as far as it is known."""

    def __init__(self, message: str, code: str = "005056A509B11EE1B9A8FEC11C21578E") -> None:
        super().__init__(message)
        self.code = code


def tokens(text: str) -> list[tuple[str, str]]:
    """Split a filter into (kind, text) pairs."""
    found, position = [], 0
    text = text.rstrip()
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            raise BadQuery(f"Invalid token at position {position} of the filter")
        found.append((str(match.lastgroup), match.group(str(match.lastgroup))))
        position = match.end()
    return found


def literal(kind: str, text: str, prop: Property) -> Any:
    """Read a literal as a value of the property's type."""
    if (kind, text) == ("name", "null"):
        return None
    expected = {
        "Edm.String": ("text",),
        "Edm.Boolean": ("name",),
        "Edm.DateTime": ("typed",),
        "Edm.DateTimeOffset": ("typed",),
        "Edm.Time": ("typed",),
        "Edm.Guid": ("typed",),
        "Edm.Decimal": ("number",),
    }[prop.type]
    prefix = {"Edm.DateTime": "datetime'", "Edm.DateTimeOffset": "datetimeoffset'", "Edm.Guid": "guid'"}
    if kind not in expected or not text.startswith(prefix.get(prop.type, "")):
        raise BadQuery(f"Property '{prop.name}' of type {prop.type} cannot be compared with {text}")
    if kind == "text":
        return text[1:-1].replace("''", "'")
    if kind == "number":
        return Decimal(text.rstrip("mMdDfFlL"))
    if kind == "name":
        if text not in ("true", "false"):
            raise BadQuery(f"Property '{prop.name}' is a boolean; '{text}' is not")
        return text == "true"
    inner = text[text.index("'") + 1 : -1]
    return _day(inner, prop) if prop.type.startswith("Edm.DateTime") else inner


def _day(text: str, prop: Property) -> date:
    try:
        return datetime.fromisoformat(text).date()
    except ValueError as error:
        raise BadQuery(f"Property '{prop.name}': {text} is not a point in time") from error


class Parser:
    """A recursive-descent parser over one filter; `or` binds weakest, then `and`, then `not`."""

    def __init__(self, text: str, properties: Mapping[str, Property], columns: Mapping[str, Column]) -> None:
        self._tokens = tokens(text)
        self._at = 0
        self._properties = properties
        self._columns = columns

    def parse(self) -> Test:
        """Read the whole filter."""
        test = self._any_of()
        if self._at < len(self._tokens):
            raise BadQuery(f"Unexpected '{self._tokens[self._at][1]}' in the filter")
        return test

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "the end of the filter")

    def _next(self) -> tuple[str, str]:
        token = self._peek()
        self._at += 1
        return token

    def _take(self, word: str) -> bool:
        if self._peek() == ("name", word):
            self._at += 1
            return True
        return False

    def _any_of(self) -> Test:
        tests = [self._all_of()]
        while self._take("or"):
            tests.append(self._all_of())
        return tests[0] if len(tests) == 1 else _any(tests)

    def _all_of(self) -> Test:
        test = self._negated()
        while self._take("and"):
            test = _both(test, self._negated())
        return test

    def _negated(self) -> Test:
        if self._take("not"):
            test = self._negated()
            return lambda row: not test(row)
        if self._peek()[0] == "open":
            self._next()
            test = self._any_of()
            if self._next()[0] != "close":
                raise BadQuery("A parenthesis is not closed in the filter")
            return test
        return self._comparison()

    def _comparison(self) -> Test:
        kind, name = self._next()
        if kind != "name":
            raise BadQuery(f"Expected a property, found {name}")
        if self._peek()[0] == "open":
            raise BadQuery(f"The function '{name}' is not imitated")
        prop = self._properties.get(name)
        if prop is None:
            raise BadQuery(f"Property {name} not found in the entity type")
        _, word = self._next()
        compare = COMPARISONS.get(word)
        if compare is None:
            raise BadQuery(f"Unknown operator '{word}' after {name}")
        kind, text = self._next()
        if kind == "end":
            raise BadQuery(f"A value is missing after '{name} {word}'")
        value = literal(kind, text, prop)
        if word == "eq":
            return OneOf(name, self._columns[name], frozenset([value]))
        return _comparison(self._columns[name], word, compare, value)


def _any(tests: Sequence[Test]) -> Test:
    """Join tests by `or`; values of one property become one look-up, however many they are."""
    found = [test for test in tests if isinstance(test, OneOf)]
    if len(found) == len(tests) and len({test.name for test in found}) == 1:
        return OneOf(found[0].name, found[0].column, frozenset().union(*(test.values for test in found)))
    return lambda row: any(test(row) for test in tests)


def _both(left: Test, right: Test) -> Test:
    return lambda row: left(row) and right(row)


def _comparison(column: Column, word: str, compare: Callable[[Any, Any], bool], value: Any) -> Test:
    if word == "ne":
        return lambda row: compare(column(row), value)
    if value is None:
        return lambda _row: False

    def ordered(row: Any) -> bool:
        held = column(row)
        return held is not None and compare(held, value)

    return ordered


def key_predicate(text: str, key: tuple[str, ...], properties: Mapping[str, Property]) -> dict[str, Any]:
    """Read `'1'` or `A='1',B='2'` as the values of the key's properties."""
    parts = tokens(text)
    if len(parts) == 1 and len(key) == 1:
        return {key[0]: literal(*parts[0], properties[key[0]])}
    values = {}
    for position in range(0, len(parts), 4):
        group = parts[position : position + 4]
        if [kind for kind, _ in group[:2]] != ["name", "equals"] or len(group) < 3 or group[0][1] not in key:
            raise BadQuery("Invalid key predicate")
        values[group[0][1]] = literal(*group[2], properties[group[0][1]])
    if set(values) != set(key):
        raise BadQuery(f"Invalid key predicate: the key is {', '.join(key)}")
    return values
