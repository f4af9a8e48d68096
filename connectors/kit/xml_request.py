"""Requests to an XML gateway in the manner of Sage Intacct: one function each, elements in the exact order.

The places of the credentials stay empty: who signs fills them. Source: developer.intacct.com, "Requests",
"Queries".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lxml import etree


def element(name: str, *content: etree._Element | str, **attributes: str) -> etree._Element:
    """An element with a text or with elements in this order."""
    made = etree.Element(name, attributes)
    for part in content:
        if isinstance(part, str):
            made.text = part
        else:
            made.append(part)
    return made


def request(function: etree._Element, control_id: str) -> bytes:
    """A whole request for one function; the places of the credentials are empty."""
    control = element(
        "control",
        element("senderid"),
        element("password"),
        element("controlid", control_id),
        element("uniqueid", "false"),
        element("dtdversion", "3.0"),
        element("includewhitespace", "false"),
    )
    operation = element(
        "operation",
        element("authentication"),
        element("content", element("function", function, controlid=control_id)),
        transaction="false",
    )
    return etree.tostring(element("request", control, operation), encoding="UTF-8", xml_declaration=True)


def compared(how: str, name: str, *values: str) -> etree._Element:
    """One condition, e.g. equalto, notequalto, lessthanorequalto, greaterthan, in."""
    return element(how, element("field", name), *(element("value", value) for value in values))


def all_of(*conditions: etree._Element | None) -> etree._Element | None:
    """The conditions that are there, joined by `and`."""
    there = [condition for condition in conditions if condition is not None]
    return element("and", *there) if len(there) > 1 else (there[0] if there else None)


def any_of(*conditions: etree._Element) -> etree._Element:
    """The conditions joined by `or`."""
    return element("or", *conditions) if len(conditions) > 1 else conditions[0]


@dataclass(frozen=True)
class Query:
    """One list: the object, its fields, sums and counts, and an optional condition.

    Beside sums and counts, fields group. `order` are the fields it is ordered by, ascending.
    """

    of: str
    fields: Sequence[str]
    where: etree._Element | None = None
    order: Sequence[str] = ()
    sums: Sequence[str] = ()
    counts: Sequence[str] = ()

    def function(self, size: int, offset: int = 0) -> etree._Element:
        """The `query` function, in the order of elements that the gateway asks for."""
        select = [
            *(element("field", name) for name in self.fields),
            *(element("sum", name) for name in self.sums),
            *(element("count", name) for name in self.counts),
        ]
        made = element("query", element("select", *select), element("object", self.of))
        if self.where is not None:
            # A copy: an element has one parent only, and a query may be asked more than once.
            made.append(element("filter", etree.fromstring(etree.tostring(self.where))))
        if self.order:
            order = (element("order", element("field", name), element("ascending")) for name in self.order)
            made.append(element("orderby", *order))
        made.append(element("options", element("showprivate", "true")))
        made.append(element("pagesize", str(size)))
        made.append(element("offset", str(offset)))
        return made
