"""`read`, `readByQuery` with `readMore`, `lookup` and `readEntityDetails`.

Answer attributes and the lower-case names of `readByQuery`: recorded answers [F] and a posted answer of a
company [D]; the query text knows =, <, >, <=, >=, <>, like, not like, in, not in, is null, is not null, and,
or, and compares stored codes, not words ([D] queries page). Shape of `lookup` and of the entity details: [D].
Not verified [K]: how long a resultId lives (here: until the books change), that keys without a row are left
out of `read`. It refuses parentheses in query texts, formats other than XML and more than 100 keys.
"""

from __future__ import annotations

import operator
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from lxml import etree

from sandbox.intacct.books import PAYMENT, Record
from sandbox.intacct.envelope import put
from sandbox.intacct.fields import Field, ObjectType
from sandbox.intacct.filters import BadQuery, Test, field_of
from sandbox.intacct.query import Page, Reader, write_rows
from sandbox.intacct.view import View
from sandbox.intacct.wire import BadValue, text, value

LARGEST_PAGE = 1000
DEFAULT_PAGE = 100
MOST_KEYS = 100
DETAILS = "ARPYMTDETAILS"
TOKEN = re.compile(
    r"\s*(?:(?P<operator><=|>=|<>|=|<|>)|(?P<text>'(?:[^'\\]|\\.)*')|(?P<list>\([^()]*\))|(?P<word>[\w.]+))"
)
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "<>": operator.ne, "<": operator.lt, ">": operator.gt, "<=": operator.le,
    ">=": operator.ge,
}  # fmt: skip


@dataclass
class Rest:
    """What a `readMore` has still to give."""

    of: ObjectType
    columns: Sequence[Field]
    rows: Sequence[Any]
    given: int
    size: int
    state: tuple[int, int]


@dataclass
class Legacy:
    """Answers the generic functions beside `query`."""

    view: View
    reader: Reader
    _rests: dict[str, Rest] = field(default_factory=dict)

    def lookup(self, element: etree._Element, _location: str) -> Page:
        """Describe an object: fields with type and valid values, then relationships."""
        of = self.reader.object_named(_only(element, "object"))
        data = etree.Element("data", listtype="All", count="1")
        kind = put(data, "Type", Name=of.name, DocumentType="")
        fields = put(kind, "Fields")
        for each in of.fields.values():
            described = put(fields, "Field")
            for name, words in (
                ("ID", each.name), ("LABEL", each.name.capitalize()), ("DESCRIPTION", ""),
                ("REQUIRED", "false"), ("READONLY", "true"), ("DATATYPE", each.type),
            ):  # fmt: skip
                put(described, name, words)
            if each.codes:
                values = put(described, "VALIDVALUES")
                for word in each.codes:
                    put(values, "VALIDVALUE", word)
            put(described, "ISCUSTOM", "false")
        relations = put(kind, "Relationships")
        for relation in of.relations.values():
            described = put(relations, "Relationship")
            for name, words in (
                ("OBJECTPATH", relation.path), ("OBJECTNAME", relation.object), ("LABEL", ""),
                ("RELATIONSHIPTYPE", "MANY2ONE"), ("RELATEDBY", relation.path),
            ):  # fmt: skip
                put(described, name, words)
        return Page(data, of.name, len(of.fields))

    def read(self, element: etree._Element, location: str) -> Page:
        """Give rows by their keys; a receipt brings its details when all fields are asked for."""
        parts = _parts(element, ("object", "keys", "fields", "returnFormat", "docparid"))
        of = self.reader.object_named(parts["object"])
        keys = [key.strip() for key in parts.get("keys", "").split(",") if key.strip()]
        if len(keys) > MOST_KEYS:
            raise BadQuery(f"{len(keys)} keys asked for: at most {MOST_KEYS}")
        asked = parts.get("fields", "*")
        with_details = of.name == PAYMENT and (asked in ("*", "") or DETAILS in asked.split(","))
        columns = self._columns(of, ",".join(name for name in asked.split(",") if name != DETAILS))
        rows = {text(of.key_field.get(row)): row for row in self.reader.visible(of, location, private=True)}
        found = [rows[key] for key in keys if key in rows]
        data = etree.Element("data", listtype=of.name, count=str(len(found)))
        _write(data, of.name, columns, found)
        if with_details:
            for printed, row in zip(data, found, strict=True):
                self._write_details(printed, row)
        return Page(data, of.name, len(found))

    def _write_details(self, printed: etree._Element, payment: Record) -> None:
        of = self.reader.objects["ARPYMTDETAIL"]
        shown = set(self.view.details())
        details = [detail for detail in payment.details if detail in shown]
        _write(put(printed, DETAILS), of.name.lower(), list(of.fields.values()), details)

    def read_by_query(self, element: etree._Element, location: str) -> Page:
        """Give the first page of the rows that a query text chooses."""
        parts = _parts(element, ("object", "query", "fields", "pagesize", "returnFormat", "docparid"))
        of = self.reader.object_named(parts["object"])
        test = self._parse(of, parts.get("query", ""))
        rows = [row for row in self.reader.visible(of, location, private=False) if test(row)]
        size = parts.get("pagesize", str(DEFAULT_PAGE))
        if not size.isdecimal() or not 1 <= int(size) <= LARGEST_PAGE:
            raise BadQuery(f"Invalid pagesize {size}: it must be between 1 and {LARGEST_PAGE}")
        rest = Rest(of, self._columns(of, parts.get("fields", "*")), rows, 0, int(size), self.view.state)
        return self._next(secrets.token_urlsafe(18), rest)

    def read_more(self, element: etree._Element, _location: str) -> Page:
        """Give the next page of a `readByQuery`."""
        result = _only(element, "resultId")
        rest = self._rests.get(result)
        if rest is None or rest.state != self.view.state:
            raise BadQuery(f"The result {result} is not known any more", "readMore Failed")
        return self._next(result, rest)

    def _next(self, result: str, rest: Rest) -> Page:
        name = rest.of.name.lower()
        rows = rest.rows[rest.given : rest.given + rest.size]
        rest.given += len(rows)
        left = len(rest.rows) - rest.given
        if left:
            self._rests[result] = rest
        else:
            self._rests.pop(result, None)
        data = etree.Element(
            "data", listtype=name, count=str(len(rows)), totalcount=str(len(rest.rows)),
            numremaining=str(left), resultId=result if left else "",
        )  # fmt: skip
        _write(data, name, rest.columns, rows)
        return Page(data, rest.of.name, len(rows))

    def _columns(self, of: ObjectType, asked: str) -> list[Field]:
        if asked.strip() in ("*", ""):
            return list(of.fields.values())
        return [field_of(self.reader.objects, of, name.strip()) for name in asked.split(",") if name.strip()]

    def _parse(self, of: ObjectType, query: str) -> Test:
        """Read a query text: `or` of `and` of comparisons."""
        tokens = _tokens(query)
        if not tokens:
            return lambda _row: True
        groups: list[list[Test]] = [[]]
        at = iter(tokens)
        for kind, word in at:
            groups[-1].append(self._comparison(of, kind, word, at))
            joint = next(at, None)
            if joint is None:
                return partial(_any_of_all, groups)
            if joint[1].upper() == "OR":
                groups.append([])
            elif joint[1].upper() != "AND":
                raise BadQuery(f"Invalid query: AND or OR expected, not {joint[1]}")
        raise BadQuery("Invalid query: it ends with AND or OR")

    def _comparison(self, of: ObjectType, kind: str, name: str, at: Iterator[tuple[str, str]]) -> Test:
        if kind != "word":
            raise BadQuery(f"Invalid query: a field expected, not {name}")
        found = field_of(self.reader.objects, of, name)
        _, word = next(at, ("", ""))
        word = word.upper()
        if word == "IS":
            _, following = next(at, ("", ""))
            wanted = following.upper() != "NOT"
            if not wanted:
                _, following = next(at, ("", ""))
            if following.upper() != "NULL":
                raise BadQuery("Invalid query: NULL expected after IS")
            return lambda row: (_stored(found, row) in (None, "")) is wanted
        wanted = word != "NOT"
        if not wanted:
            _, word = next(at, ("", ""))
            word = word.upper()
        _, given = next(at, ("", ""))
        return _test(found, word, given, wanted=wanted)


def _test(found: Field, word: str, given: str, *, wanted: bool) -> Test:
    if word == "IN" and given.startswith("("):
        values = {_value(found, part.strip()) for part in given[1:-1].split(",")}
        return lambda row: (_stored(found, row) in values) is wanted
    if word == "LIKE":
        words = str(_unquoted(given))
        pattern = re.compile("".join({"%": ".*", "_": "."}.get(c, re.escape(c)) for c in words), re.DOTALL)
        return lambda row: (pattern.fullmatch(str(_stored(found, row) or "")) is not None) is wanted
    if word not in OPERATORS or not given:
        raise BadQuery(f"Invalid query: operator {word} is not known")
    return partial(_holds, found, OPERATORS[word], _value(found, given))


def _holds(found: Field, compare: Callable[[Any, Any], bool], other: Any, row: Any) -> bool:
    held = _stored(found, row)
    return held is not None and held != "" and compare(held, other)


def _any_of_all(groups: Sequence[Sequence[Test]], row: Any) -> bool:
    return any(all(test(row) for test in group) for group in groups)


def _stored(found: Field, row: Any) -> Any:
    """Give the stored code of a field that prints a word."""
    held = found.get(row)
    if isinstance(held, bool):
        return "T" if held else "F"
    return found.codes.get(held, held) if found.codes else held


def _value(found: Field, given: str) -> Any:
    try:
        kind = "TEXT" if found.codes or found.type == "BOOLEAN" else found.type
        return value(_unquoted(given), kind)
    except BadValue as error:
        raise BadQuery(f"Invalid query: {error}") from error


def _unquoted(given: str) -> str:
    return re.sub(r"\\(.)", r"\1", given[1:-1]) if given.startswith("'") else given


def _tokens(query: str) -> list[tuple[str, str]]:
    found, position = [], 0
    query = query.strip()
    while position < len(query):
        match = TOKEN.match(query, position)
        if match is None:
            raise BadQuery(f"Invalid query near {query[position : position + 20]}")
        found.append((str(match.lastgroup), match.group(str(match.lastgroup))))
        position = match.end()
    return found


def _parts(element: etree._Element, order: tuple[str, ...]) -> dict[str, str]:
    names = [str(child.tag) for child in element]
    if names != [name for name in order if name in names] or "object" not in names:
        raise BadQuery(f"{element.tag} holds {', '.join(order)}, in this order")
    found = {str(child.tag): child.text or "" for child in element}
    if found.get("returnFormat", "xml") != "xml":
        raise BadQuery("The sandbox answers in XML only")
    return found


def _only(element: etree._Element, name: str) -> str:
    if [child.tag for child in element] != [name]:
        raise BadQuery(f"{element.tag} holds {name} and nothing else")
    return element[0].text or ""


def _write(data: etree._Element, name: str, columns: Sequence[Field], rows: Sequence[Any]) -> None:
    write_rows(data, name, [c.name for c in columns], [[text(c.get(row)) for c in columns] for row in rows])


def entity_details(view: View, _element: etree._Element, location: str) -> Page:
    """Give the entities that the user can see, with their base currencies [D]."""
    data = etree.Element("data")
    entities = [entity for entity in view.entities() if location in ("", entity.code)]
    for entity in entities:
        described = put(data, "entity")
        for name, words in (
            ("id", entity.code), ("name", entity.name), ("recordno", str(entity.key)),
            ("currency", entity.currency), ("firstfiscalmonth", "1"), ("firstfiscaltaxmonth", ""),
            ("weekstart", ""),
        ):  # fmt: skip
            put(described, name, words)
    return Page(data, "entity", len(entities))
