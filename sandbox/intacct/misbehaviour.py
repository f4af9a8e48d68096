"""What the gateway, or something in front of it, may send instead of the right answer, on command.

Statuses, codes and shapes: the vendor's error pages [D] and recorded answers with missing blocks [F]. The
text of the GW-0010 body and of the failures that name neither code nor words there are customary [K]. It
refuses kinds that it does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from lxml import etree

from sandbox.intacct.envelope import Problem, printed, put, write_errors
from sandbox.intacct.gateway import Answer

LOGIN_PAGE = b"""<!DOCTYPE html><html><head><title>Sage Intacct Login</title></head><body>
<form method="post" action="/ia/acct/login.phtml"><input name="login"/><input name="passwd" type="password"/>
</form></body></html>"""
HUGE_BYTES = 40 * 1024 * 1024


@dataclass
class Order:
    """One command: which kind, for which function and object (empty: all), when and how often.

    `key` makes an order hold whenever the row of that key is in the answer, until it is taken back. A value
    is put into the first row that has `field`; with `where` (`CURRENCY=JPY`) into the first that says so.
    """

    kind: str
    function: str = ""
    object: str = ""
    times: int = 1
    after: int = 0
    key: str = ""
    field: str = ""
    value: str = ""
    where: str = ""
    seconds: float = 1.0


@dataclass
class Misbehaviours:
    """The commands that wait for their requests."""

    orders: list[Order] = field(default_factory=list)

    def give(self, order: Order) -> None:
        """Take a command.

        Raises:
            ValueError: the kind is unknown.
        """
        if order.kind not in (*KINDS, *HANDLED_BEFORE):
            raise ValueError(
                f"no misbehaviour {order.kind!r}: choose from {', '.join([*KINDS, *HANDLED_BEFORE])}"
            )
        self.orders.append(order)

    def take(self, body: bytes) -> Order | None:
        """Give the first command that fits a request, and count it."""
        function, name = _called(body)
        for order in self.orders:
            if order.times <= 0 or order.function not in ("", function) or order.object not in ("", name):
                continue
            if not order.function and function == "getAPISession":
                continue
            if order.after > 0:
                order.after -= 1
                continue
            if not order.key:
                order.times -= 1
            return order
        return None


def _called(body: bytes) -> tuple[str, str]:
    """Give the name of a request's first function and of its object."""
    try:
        root = etree.fromstring(body, etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError:
        return "", ""
    function = root.find("operation/content/function")
    if function is None or not len(function):
        return "", ""
    return str(function[0].tag), (function[0].findtext("object") or "").upper()


def apply(order: Order, answer: Answer) -> Answer:
    """Turn the right answer into the wrong one; `slow_drip` and `session_expired` were handled before."""
    return answer if order.kind in HANDLED_BEFORE else KINDS[order.kind](order, answer)


Kind = Callable[[Order, Answer], Answer]


def _wrong(answer: Answer, outcome: str, body: bytes, status: int = 200, media: str = "") -> Answer:
    return replace(
        answer, status=status, body=body, media_type=media or answer.media_type, rows=0, outcome=outcome
    )


def _tree(answer: Answer) -> etree._Element:
    return etree.fromstring(answer.body)


def _printed(tree: etree._Element) -> bytes:
    return printed(tree, whitespace=False)


def _at_control(problems: Sequence[Problem], status: int, _order: Order, answer: Answer) -> Answer:
    tree = _tree(answer)
    for operation in tree.findall("operation"):
        tree.remove(operation)
    element = tree.find("control/status")
    if element is not None:
        element.text = "failure"
    write_errors(tree, problems)
    outcome = "http" if status != 200 else "control"
    return _wrong(answer, outcome, _printed(tree), status)


def _at_authentication(problems: Sequence[Problem], _order: Order, answer: Answer) -> Answer:
    tree = _tree(answer)
    operation = tree.find("operation")
    status = tree.find("operation/authentication/status")
    if operation is None or status is None:
        return answer
    status.text = "failure"
    for result in operation.findall("result"):
        operation.remove(result)
    for name in ("sessiontimestamp", "sessiontimeout"):
        for element in operation.findall(f"authentication/{name}"):
            operation[0].remove(element)
    write_errors(operation, problems)
    return _wrong(answer, "authentication", _printed(tree))


def _at_result(problems: Sequence[Problem], status: str, order: Order, answer: Answer) -> Answer:
    tree = _tree(answer)
    if order.key and not _holds(tree, order.key):
        return answer
    for result in tree.findall("operation/result"):
        for name in ("data", "errormessage"):
            for element in result.findall(name):
                result.remove(element)
        result[0].text = status
        write_errors(result, problems)
    return _wrong(answer, "result", _printed(tree))


def _holds(tree: etree._Element, key: str) -> bool:
    """Say whether an answer holds the row of this key."""
    rows = tree.findall("operation/result/data/*")
    return any(
        key in (row.findtext("OBJECTKEY"), row.findtext("RECORDNO"), row.findtext("ID")) for row in rows
    )


def _login_page(_order: Order, answer: Answer) -> Answer:
    return _wrong(answer, "http", LOGIN_PAGE, media="text/html; charset=UTF-8")


def _text(words: bytes, status: int, _order: Order, answer: Answer) -> Answer:
    return _wrong(answer, "http", words, status, "text/plain")


def _truncated(_order: Order, answer: Answer) -> Answer:
    return _wrong(answer, "http", answer.body[: len(answer.body) // 2])


def _doctype(_order: Order, answer: Answer) -> Answer:
    """A document type with an entity that grows."""
    declared = b'<!DOCTYPE response [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]><response>'
    return replace(answer, body=answer.body.replace(b"<response>", declared, 1))


def _huge(_order: Order, answer: Answer) -> Answer:
    """A right answer with 40 MiB of white space before its end."""
    return replace(answer, body=answer.body.replace(b"</response>", b" " * HUGE_BYTES + b"</response>"))


def _no_result(_order: Order, answer: Answer) -> Answer:
    tree = _tree(answer)
    for operation in tree.findall("operation"):
        for result in operation.findall("result"):
            operation.remove(result)
    return _wrong(answer, "result", _printed(tree))


def _acknowledged(_order: Order, answer: Answer) -> Answer:
    """The request went asynchronous by policy [F]."""
    tree = _tree(answer)
    for operation in tree.findall("operation"):
        tree.remove(operation)
    acknowledgement = etree.Element("acknowledgement")
    put(acknowledgement, "status", "success")
    tree.insert(0, acknowledgement)
    return _wrong(answer, "result", _printed(tree))


def _short_page(_order: Order, answer: Answer) -> Answer:
    """Half of the rows under the figures of all of them."""
    tree = _tree(answer)
    left = 0
    for data in tree.findall("operation/result/data"):
        rows = list(data)
        left += len(rows) // 2
        for row in rows[len(rows) // 2 :]:
            data.remove(row)
    return replace(answer, body=_printed(tree), rows=left)


def _value(order: Order, answer: Answer) -> Answer:
    """Put a value into a field of the first row that has it and fits."""
    tree = _tree(answer)
    name, _, wanted = order.where.partition("=")
    for row in tree.findall("operation/result/data/*"):
        element = row.find(order.field)
        if element is not None and (not name or row.findtext(name) == wanted):
            element.text = order.value
            break
    return replace(answer, body=_printed(tree))


def _doubled_timestamp(_order: Order, answer: Answer) -> Answer:
    """The authentication block with two timestamps and without a company [F]."""
    tree = _tree(answer)
    block = tree.find("operation/authentication")
    if block is not None:
        for company in block.findall("companyid"):
            block.remove(company)
        stamp = block.find("sessiontimestamp")
        if stamp is not None:
            put(block, "sessiontimestamp", stamp.text)
    return replace(answer, body=_printed(tree))


LATER = "Please Try Again Later"
BUSY = Problem("GW-0010", "The request rate or the number of concurrent requests is too high", LATER)
ROLLED_BACK = Problem(
    "XL03000009", "The entire transaction in this operation has been rolled back due to an error."
)
ROW_FAILED = Problem("Query Failed", "There was an error processing the request")

HANDLED_BEFORE = ("session_expired", "slow_drip")
KINDS: dict[str, Kind] = {
    "too_many_requests": partial(_at_control, [BUSY], 429),
    "invalid_request": partial(_at_control, [Problem("GW-0011", "Invalid request")], 400),
    "unavailable": partial(_text, b"Service Unavailable", 503),
    "bad_gateway": partial(_text, b"Bad Gateway", 502),
    "malformed": partial(_at_control, [Problem("XL03000003", "The XML document is malformed")], 200),
    "wrong_sender": partial(
        _at_control, [Problem("XL03000006", "Incorrect Intacct XML Partner ID or password.")], 200
    ),
    "wrong_login": partial(_at_authentication, [Problem("XL03000006", "Sign-in information is incorrect")]),
    "sender_not_authorised": partial(
        _at_authentication,
        [Problem("XL03000006", "The sender ID EncoursMPP is not authorized to make Web Services requests.")],
    ),
    "result_failure": partial(_at_result, [Problem("Query Failed", "Something went wrong")], "failure"),
    "result_two_errors": partial(
        _at_result, [Problem("Query Failed", "Something went wrong"), ROLLED_BACK], "aborted"
    ),
    "try_again": partial(_at_result, [Problem("XL03000009", "The service is busy", LATER)], "failure"),
    "row_failure": partial(_at_result, [ROW_FAILED], "failure"),
    "login_page": _login_page,
    "truncated": _truncated,
    "doctype": _doctype,
    "huge": _huge,
    "no_result": _no_result,
    "acknowledged": _acknowledged,
    "short_page": _short_page,
    "value": _value,
    "doubled_timestamp": _doubled_timestamp,
}
