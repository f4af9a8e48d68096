"""Answers of an XML gateway in the manner of Sage Intacct, judged at four levels, each with its own errors.

HTTP, control, authentication, result. Refuses an answer with a DOCTYPE, one that lacks a level, and an
asynchronous one. Codes are shown and hardly decided upon: one code stands for unrelated faults. Source:
developer.intacct.com, "Responses", "Error handling".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lxml import etree

from connectors.kit import exact_xml, xml_rows
from connectors.kit.failures import DEFAULT_PAUSE, NotOffered, clean
from connectors.kit.xml_request import element
from receivables.errors import HubError, Misconfigured, RateLimited, Rejected, Transient

SUCCESS: Final = "success"
AGAIN: Final = "try again later"
CREDENTIALS: Final = "XL03000006"
TOO_MANY: Final = "GW-0010"
SHORT: Final = 16_384  # an answer that refuses is short
UNKNOWN_OBJECT: Final = re.compile(r"object definition .{0,80} not found", re.IGNORECASE)
NO_RIGHT: Final = re.compile(
    r"(?:not|n't) (?:have |be )?(?:permission|authori[sz]|allowed)|no permission", re.IGNORECASE
)


class Failed(Rejected):
    """The gateway refused the function itself; `errors` are its words."""

    def __init__(self, message: str, errors: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.errors = tuple(errors)


@dataclass(frozen=True)
class Problem:
    """One error of the gateway; the code is for support: one code stands for unrelated faults."""

    code: str
    text: str
    correction: str


@dataclass(frozen=True)
class Result:
    """What became of one function; `data` are the attributes of its data element, None where it has none."""

    status: str | None
    function: str | None
    control_id: str | None
    data: Mapping[str, str] | None
    problems: Sequence[Problem]


@dataclass(frozen=True)
class Response:
    """A whole answer, level by level, and the rows of its only data element as received."""

    acknowledged: bool
    control: str | None
    authentication: str | None
    results: Sequence[Result]
    problems: Sequence[Problem]  # of the levels above the results
    rows: Sequence[bytes]
    moment: str | None  # the server's clock, sessiontimestamp


def read(body: bytes) -> Response:
    """The answer; raises exact_xml.Malformed for what is no answer of a gateway or against our limits."""
    envelope, rows = xml_rows.cut(xml_rows.in_utf_8(body))
    root = exact_xml.parse(envelope)
    if root.tag != "response":
        raise exact_xml.Malformed(f"the root element is {str(root.tag)[:40]!r}, not response")
    operation = root.find("operation")
    inside = operation if operation is not None else element("operation")
    return Response(
        acknowledged=root.find("acknowledgement") is not None,
        control=root.findtext("control/status"),
        authentication=inside.findtext("authentication/status"),
        results=[_result(found) for found in inside.findall("result")],
        problems=[*_problems(root), *_problems(inside)],
        rows=rows,
        moment=inside.findtext("authentication/sessiontimestamp"),
    )


def _result(found: etree._Element) -> Result:
    data = found.find("data")
    return Result(
        status=found.findtext("status"),
        function=found.findtext("function"),
        control_id=found.findtext("controlid"),
        data=None if data is None else {str(name): str(value) for name, value in data.attrib.items()},
        problems=_problems(found),
    )


def _problems(place: etree._Element) -> list[Problem]:
    return [
        Problem(
            code=(error.findtext("errorno") or "").strip(),
            text=(error.findtext("description2") or error.findtext("description") or "").strip(),
            correction=(error.findtext("correction") or "").strip(),
        )
        for error in place.findall("errormessage/error")
    ]


def expired(body: bytes) -> bool:
    """Whether the answer says that its session is not accepted (authentication failed; nothing was done)."""
    if b"failure" not in body[:SHORT]:
        return False
    try:
        response = read(body)
    except exact_xml.Malformed:
        return False
    return response.control == SUCCESS and response.authentication == "failure"


def says(body: bytes) -> str:
    """The words of an answer that refuses; empty where it is no answer of the gateway."""
    try:
        response = read(body)
    except exact_xml.Malformed:
        return ""
    return words([*response.problems, *(p for result in response.results for p in result.problems)])


def words(problems: Sequence[Problem]) -> str:
    """The errors in one line: codes and texts, once each."""
    return "; ".join(dict.fromkeys(f"{p.code}: {p.text}".strip(": ") for p in problems))


def judge(response: Response, place: str) -> Result:
    """The only result, if all levels say success; else raises the error that says what to do."""
    if response.acknowledged:
        raise Misconfigured(
            f"{place}: the gateway answers later, by a policy of the sender id. Have the policy removed: a "
            "connector needs answers at once."
        )
    if response.control != SUCCESS:
        raise _refused(place, "the request", response.problems, of_control=True)
    if response.authentication not in (None, SUCCESS):
        raise Misconfigured(
            f"{place}: the gateway does not accept the credentials. Check the user, the company and the "
            f"sender id.{_said(response.problems)}"
        )
    if response.authentication is None or not response.results or response.results[0].status is None:
        raise Transient(f"{place}: the answer has no result.{_said(response.problems)} Read again.")
    (result, *more) = response.results
    problems = [p for one in response.results for p in one.problems]
    if result.status != SUCCESS:
        raise _refused(place, result.function or "the function", problems)
    if more:
        raise Rejected(f"{place}: {len(response.results)} results to one function.")
    return result


def _refused(place: str, what: str, problems: Sequence[Problem], *, of_control: bool = False) -> HubError:
    said = _said(problems)
    texts = " ".join(p.text for p in problems)
    codes = {p.code for p in problems}
    if TOO_MANY in codes:
        return RateLimited(f"{place}: the gateway asks to wait.{said}", retry_after=DEFAULT_PAUSE)
    if any(AGAIN in p.correction.lower() for p in problems):
        return Transient(f"{place}: the gateway asks to try again later.{said}")
    if of_control and CREDENTIALS in codes:
        return Misconfigured(f"{place}: the gateway does not accept the sender's pair.{said}")
    if not of_control and (UNKNOWN_OBJECT.search(texts) or NO_RIGHT.search(texts)):
        return NotOffered(
            f"{place}: the user may not read this, or the company does not have it.{said} Give the user the "
            "right, or the company the subscription."
        )
    return Failed(f"{place}: the gateway refused {what}.{said}", problems)


def _said(problems: Sequence[Problem]) -> str:
    found = words(problems)
    return f" It says: {clean(found).rstrip('.')}." if found else ""
