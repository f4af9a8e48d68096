"""Rows of XML answers: cut out of a page as they stand, and read one by one only when they are new.

A page is never parsed as a whole: its rows are found by their tags, hashed by who asks, and the rest of the
page (the envelope) is parsed strictly without them. A row is flat: elements with text. Its empty elements are
left out: they mean the same as missing ones, one answer prints the one and the next the other, and a record
must have one digest. The usual row is read by one pattern that proves all of it; any other goes through
exact_xml, for our limits, and xmltodict.
Refuses DOCTYPE, comments among rows, encodings other than UTF-8, US-ASCII and ISO-8859-1, and a name that
stands twice in a row. Source: XML 1.0, 2.1 to 2.11; design, "What other systems send us".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

import xmltodict
from lxml import etree

from connectors.kit import exact_xml
from receivables.errors import Unreadable

BOM: Final = b"\xef\xbb\xbf"
DECLARATION: Final = re.compile(rb"\s*<\?xml([^?>]{0,200})\?>")
ENCODING: Final = re.compile(rb"""encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
ENCODINGS: Final = {"utf-8": "utf-8", "us-ascii": "ascii", "iso-8859-1": "latin-1"}
NAME: Final = rb"[A-Za-z_][A-Za-z0-9_.-]{0,99}"
ROW: Final = re.compile(rb"\s*<(" + NAME + rb")>(.*?)</\1\s*>", re.DOTALL)
EMPTY_ROW: Final = re.compile(rb"\s*<(" + NAME + rb")\s*/>")
# Possessive: a name that is not followed by its own end tag is not tried again letter by letter.
EMPTY_CELL: Final = re.compile(rb"<(" + NAME + rb"+)(?:></\1\s*>|\s*/>)")
CELL: Final = re.compile(
    r"(\s*<([A-Za-z_][A-Za-z0-9_.-]{0,99})"
    r"(?:/>|>([^<&\x00-\x08\x0b\x0c\x0e-\x1f\r\ufffe\uffff]*)</\2>))"
)
FOREIGN: Final = re.compile(rb"&|\r|\]\]>")  # what a parser changes or refuses
DATA: Final = re.compile(rb"<data(?:\s[^<>]*)?>")
DATA_END: Final = b"</data>"


def in_utf_8(body: bytes) -> bytes:
    """The text in UTF-8 without declaration and BOM, read as its declaration says (UTF-8 without one).

    Raises exact_xml.Malformed for another encoding and for bytes that are not of the declared one.
    """
    body = body.removeprefix(BOM)
    declared = "utf-8"
    if match := DECLARATION.match(body):
        if named := ENCODING.search(match[1]):
            declared = named[1].decode().lower()
        body = body[match.end() :]
    if declared not in ENCODINGS:
        raise exact_xml.Malformed(f"the encoding {declared} is not accepted")
    try:
        text = body.decode(ENCODINGS[declared])
    except UnicodeDecodeError as error:
        raise exact_xml.Malformed(f"byte {error.start} is not {declared}") from None
    return body if declared != "iso-8859-1" else text.encode()


def cut(body: bytes) -> tuple[bytes, list[bytes]]:
    """The envelope with an empty `data` element, and the rows that stood in it, without empty elements.

    `body` is what `in_utf_8` gives. Where the tags alone do not prove where rows begin and end (comments,
    CDATA, processing instructions, several data elements), the whole is parsed and rows are written anew.
    Raises exact_xml.Malformed.
    """
    start, end = DATA.search(body), body.rfind(DATA_END)
    if b"<!" in body or b"<?" in body or body.count(b"<data") != 1 or start is None or end < start.end():
        return _cut_parsed(body)
    try:
        return body[: start.end()] + body[end:], [_filled(row) for row in _rows(body[start.end() : end])]
    except exact_xml.Malformed:
        return _cut_parsed(body)


def _rows(text: bytes) -> list[bytes]:
    """The rows in a text; where all have one name, cut at their end tags at once."""
    first = ROW.match(text)
    if first is None:
        return list(elements(text))
    start, end = b"<%b>" % first[1], b"</%b>" % first[1]
    found = text.split(end)
    if text.count(start) != len(found) - 1 or found.pop().strip():
        return list(elements(text))
    rows = [piece.lstrip() + end for piece in found]
    return rows if all(row.startswith(start) for row in rows) else list(elements(text))


def _filled(row: bytes) -> bytes:
    """The row without its empty elements; a row that is one itself stays."""
    if row.count(b"></") == 1 and b"/>" not in row:  # the one before the row's own end
        return row
    return EMPTY_CELL.sub(b"", row) or row


def elements(text: bytes) -> Iterator[bytes]:
    """The elements that follow one another in this text, each as it stands; raises exact_xml.Malformed."""
    place = 0
    while match := ROW.match(text, place) or EMPTY_ROW.match(text, place):
        row = match[0].lstrip()
        if row.count(b"<" + match[1] + b">") > 1:
            raise exact_xml.Malformed("a row holds an element of its own name")
        yield row
        place = match.end()
    if text[place:].strip():
        raise exact_xml.Malformed("something stands between two rows that is no row")


def joined(name: str, parts: Iterable[bytes]) -> bytes:
    """One element of this name around these elements: a row made of several."""
    return b"<%b>%b</%b>" % (name.encode(), b"".join(parts), name.encode())


def parts(row: bytes) -> tuple[str, list[bytes]]:
    """The name of a row made by `joined`, and the elements in it."""
    name = row[1 : row.index(b">")]
    return name.decode(), list(elements(row[len(name) + 2 : -len(name) - 3]))


def name_of(row: bytes) -> str:
    """The name of a row's element, in upper case."""
    match = re.match(rb"<(" + NAME + rb")", row)
    return match[1].decode().upper() if match else ""


def values(row: bytes) -> dict[str, str]:
    """The texts of a flat row by element name in upper case; an empty element is left out, as a missing one.

    Raises Unreadable: not_xml (not well-formed, or against our limits), nested, name_twice.
    """
    name = row[1 : row.find(b">")]
    inner = row[len(name) + 2 : -len(name) - 3]
    if not FOREIGN.search(inner) and row == b"<%b>%b</%b>" % (name, inner, name):
        text = inner.decode()
        cells = CELL.findall(text)
        # As many characters as the row has: nothing but cells stands in it.
        if sum(len(whole) for whole, _, _ in cells) == len(text.rstrip(" \t\n")):
            found = {cell.upper(): value for _, cell, value in cells}
            if len(found) == len(cells):
                return {cell: value for cell, value in found.items() if value}
    return _parsed(row)


def _parsed(row: bytes) -> dict[str, str]:
    try:
        exact_xml.parse(row)
    except exact_xml.Malformed as error:
        raise Unreadable("not_xml", "", f"The row cannot be read: {error}.") from None
    ((_, content),) = xmltodict.parse(
        row, encoding="utf-8", strip_whitespace=False, disable_entities=True, xml_attribs=False
    ).items()
    if not isinstance(content, dict):
        return {}
    found: dict[str, str] = {}
    for name, value in content.items():
        if name != "#text":  # what stands between the elements
            upper = name.upper()
            if upper in found or isinstance(value, list):
                raise Unreadable("name_twice", upper, f"{upper} stands twice in the row.")
            found[upper] = _text(upper, value)
    return {name: value for name, value in found.items() if value}


def _text(name: str, value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Unreadable("nested", name, f"{name} holds elements where a text is expected.")
    return value


def _cut_parsed(body: bytes) -> tuple[bytes, list[bytes]]:
    root = exact_xml.parse(body)
    rows: list[bytes] = []
    for data in root.iter("data"):
        for child in list(data):
            row = etree.tostring(child, encoding="UTF-8", with_tail=False).removeprefix(HEAD)
            rows.append(_filled(row))
            data.remove(child)
    return etree.tostring(root, encoding="UTF-8").removeprefix(HEAD), rows


HEAD: Final = b"<?xml version='1.0' encoding='UTF-8'?>\n"
