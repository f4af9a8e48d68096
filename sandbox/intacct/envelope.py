"""The XML around every call: reads a request, prints an answer.

Element order and names are those of recorded requests and answers [F] and of the vendor's schema 3.0 [D]:
control, then operation with authentication and content. It refuses a document type, elements out of order
and unknown elements of the envelope, with `Malformed`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from lxml import etree

CONTROL = (
    "senderid", "password", "controlid", "uniqueid", "dtdversion", "policyid", "debug", "includewhitespace",
)  # fmt: skip
LOGIN = ("userid", "companyid", "password", "clientid", "locationid")
DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'
BOOLEANS = {"true": True, "false": False, "1": True, "0": False}


class Malformed(ValueError):
    """The request is not XML of the right shape."""


@dataclass(frozen=True)
class Login:
    """A user's credentials in a request; `location` empty asks for the top level."""

    user: str
    company: str
    password: str
    location: str


@dataclass(frozen=True)
class Call:
    """One function with its control id; `body` is its single child."""

    control_id: str
    body: etree._Element

    @property
    def name(self) -> str:
        """The function's name."""
        return str(self.body.tag)


@dataclass(frozen=True)
class Request:
    """A request as it was read."""

    sender: str
    sender_password: str
    control_id: str
    unique: bool
    whitespace: bool
    login: Login | None
    session: str
    transaction: bool
    calls: Sequence[Call]


@dataclass(frozen=True)
class Problem:
    """One `error` of an `errormessage`."""

    number: str
    text: str
    correction: str = ""


@dataclass
class Result:
    """The result of one function: data, or problems and their status."""

    function: str
    control_id: str
    data: etree._Element | None = None
    problems: list[Problem] = field(default_factory=list)
    status: str = "success"
    object: str = ""
    rows: int = 0


@dataclass
class Signed:
    """What the authentication block of an answer says."""

    user: str
    company: str
    location: str
    status: str = "success"
    now: datetime | None = None
    until: datetime | None = None
    problems: list[Problem] = field(default_factory=list)


def read(body: bytes, *, by_token: bool = False) -> Request:
    """Read a request; one that a token signs in needs no login, and whatever it has of one is not looked at.

    Raises:
        Malformed: it is not XML, has a document type, or elements are unknown or out of order.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Malformed(str(error)) from error
    if b"<!DOCTYPE" in body:
        raise Malformed("a document type is not allowed")
    if root.tag != "request":
        raise Malformed(f"the root element is {root.tag}, not request")
    control, operation = _children(root, ("control", "operation"))
    values = _texts(control, CONTROL)
    for name in ("senderid", "controlid"):
        if name not in values:
            raise Malformed(f"element control has no {name}")
    authentication, content = _children(operation, ("authentication", "content"))
    login, session = (_beside_token if by_token else _authentication)(authentication)
    return Request(
        sender=values["senderid"],
        sender_password=values.get("password", ""),
        control_id=values["controlid"],
        unique=_boolean(values.get("uniqueid", "true"), "uniqueid"),
        whitespace=_boolean(values.get("includewhitespace", "true"), "includewhitespace"),
        login=login,
        session=session,
        transaction=operation.get("transaction", "false") == "true",
        calls=[_call(function) for function in content],
    )


def _children(parent: etree._Element, names: tuple[str, ...]) -> list[etree._Element]:
    found = list(parent)
    if tuple(child.tag for child in found) != names:
        raise Malformed(
            f"element {parent.tag} holds {', '.join(str(c.tag) for c in found)}, not {', '.join(names)}"
        )
    return found


def _texts(parent: etree._Element, order: tuple[str, ...]) -> dict[str, str]:
    """Read the texts of children that must come in a given order, each at most once."""
    names = [str(child.tag) for child in parent]
    allowed = [name for name in order if name in names]
    if names != allowed:
        raise Malformed(f"element {parent.tag} holds {', '.join(names)}; the order is {', '.join(order)}")
    return {str(child.tag): child.text or "" for child in parent}


def _boolean(given: str, name: str) -> bool:
    if given not in BOOLEANS:
        raise Malformed(f"element {name} is neither true nor false")
    return BOOLEANS[given]


def _authentication(element: etree._Element) -> tuple[Login | None, str]:
    kinds = [str(child.tag) for child in element]
    if kinds == ["sessionid"]:
        return None, element[0].text or ""
    if kinds != ["login"]:
        raise Malformed("element authentication holds neither login nor sessionid")
    values = _texts(element[0], LOGIN)
    return Login(
        values.get("userid", ""), values.get("companyid", ""), values.get("password", ""),
        values.get("locationid", ""),
    ), ""  # fmt: skip


def _beside_token(element: etree._Element) -> tuple[Login | None, str]:
    session = element.findtext("sessionid") or ""
    return None if session else Login("", "", "", element.findtext("login/locationid") or ""), session


def _call(function: etree._Element) -> Call:
    if function.tag != "function" or len(function) != 1:
        raise Malformed("element content holds functions of one call each")
    return Call(function.get("controlid", ""), function[0])


def put(parent: etree._Element, name: str, text: str | None = None, **attributes: str) -> etree._Element:
    """Append an element with a text."""
    child = etree.SubElement(parent, name, attributes)
    if text:
        child.text = text
    return child


def write_errors(parent: etree._Element, problems: Sequence[Problem]) -> None:
    """Append an errormessage."""
    message = put(parent, "errormessage")
    for problem in problems:
        error = put(message, "error")
        put(error, "errorno", problem.number)
        put(error, "description")
        put(error, "description2", problem.text)
        put(error, "correction", problem.correction)


def _moment(value: datetime) -> str:
    return value.replace(tzinfo=UTC).isoformat()


def _control(request: Request | None, status: str) -> etree._Element:
    response = etree.Element("response")
    control = put(response, "control")
    put(control, "status", status)
    put(control, "senderid", request.sender if request else "")
    put(control, "controlid", request.control_id if request else "")
    put(control, "uniqueid", "true" if request and request.unique else "false")
    put(control, "dtdversion", "3.0")
    return response


def refusal(request: Request | None, problems: Sequence[Problem]) -> etree._Element:
    """Answer that the control block failed: errors stand beside it [D]."""
    response = _control(request, "failure")
    write_errors(response, problems)
    return response


def answer(request: Request, signed: Signed, results: Sequence[Result]) -> etree._Element:
    """Answer with the authentication block and, when that is well, one result per function."""
    response = _control(request, "success")
    operation = put(response, "operation")
    authentication = put(operation, "authentication")
    put(authentication, "status", signed.status)
    put(authentication, "userid", signed.user)
    put(authentication, "companyid", signed.company)
    put(authentication, "locationid", signed.location)
    if signed.now is not None and signed.until is not None:
        put(authentication, "sessiontimestamp", _moment(signed.now))
        put(authentication, "sessiontimeout", _moment(signed.until))
    if signed.problems:
        write_errors(operation, signed.problems)
        return response
    for result in results:
        element = put(operation, "result")
        put(element, "status", result.status)
        put(element, "function", result.function)
        put(element, "controlid", result.control_id)
        if result.data is not None:
            element.append(result.data)
        if result.problems:
            write_errors(element, result.problems)
    return response


def printed(response: etree._Element, *, whitespace: bool) -> bytes:
    """Print an answer as UTF-8 with its declaration."""
    return DECLARATION + etree.tostring(response, encoding="UTF-8", pretty_print=whitespace)
