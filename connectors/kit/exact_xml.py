"""XML read safely: no DOCTYPE, no entities, nothing fetched, bounded depth and attributes."""

from __future__ import annotations

from typing import Final

from lxml import etree

MAX_DEPTH: Final = 64
MAX_ATTRIBUTES: Final = 1000


class Malformed(ValueError):
    """Not XML as our limits have it; the sentence does not repeat the content."""


def parse(body: bytes) -> etree._Element:
    """The root element of an XML document. Raises Malformed."""
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        line = getattr(error, "lineno", 0)
        raise Malformed(f"not well-formed XML (line {line})") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise Malformed("a DOCTYPE is not accepted")
    waiting = [(root, 1)]
    while waiting:
        element, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise Malformed(f"more than {MAX_DEPTH} levels")
        if len(element.attrib) > MAX_ATTRIBUTES:
            raise Malformed(f"more than {MAX_ATTRIBUTES} attributes on one element")
        waiting.extend((child, depth + 1) for child in element)
    return root
