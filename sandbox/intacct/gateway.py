"""The XML gateway of one company, under /ia/xml/xmlgw.phtml: signs in, answers calls, reports errors.

The four places of errors and their codes: recorded answers [F] and the vendor's error pages [D]. Not
verified [K]: code and words of an expired session, of a session used on another host and of a repeated
control id. The vendor's gateway takes no bearer tokens [D]; this one does, in place of a login [K]. It
refuses writing and every function that it does not imitate, as an error of that function.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from lxml import etree

from sandbox.bearer import IdentityProvider, challenge
from sandbox.clock import Clock
from sandbox.intacct import balances
from sandbox.intacct.envelope import (
    Call,
    Malformed,
    Problem,
    Request,
    Result,
    Signed,
    answer,
    printed,
    put,
    read,
    refusal,
)
from sandbox.intacct.filters import BadQuery
from sandbox.intacct.legacy import Legacy, entity_details
from sandbox.intacct.objects import build
from sandbox.intacct.query import Page, Reader
from sandbox.intacct.sessions import Sessions
from sandbox.intacct.view import View

PATH = "/ia/xml/xmlgw.phtml"
XML = "text/xml; charset=UTF-8"
ACCEPTED = ("application/xml", "text/xml", "x-intacct-xml-request", "application/x-intacct-xml-request")
SIGN_IN = "XL03000006"
ROLLED_BACK = Problem(
    "XL03000009", "The entire transaction in this operation has been rolled back due to an error."
)


@dataclass(frozen=True)
class Credentials:
    """Two pairs: the software vendor's sender, and the company's user."""

    sender: str
    sender_password: str
    company: str
    user: str
    password: str


@dataclass
class Answer:
    """What is sent back, with the figures that the access log keeps."""

    status: int
    body: bytes
    media_type: str = XML
    headers: dict[str, str] = field(default_factory=dict)
    function: str = ""
    object: str = ""
    rows: int = 0
    user: str = ""
    outcome: str = "success"


class Gateway:
    """Answers the requests of one company; `endpoint` is where sessions are valid."""

    def __init__(self, view: View, credentials: Credentials, clock: Clock) -> None:
        self.view = view
        self.credentials = credentials
        self.clock = clock
        self.endpoint = ""
        self.identity = IdentityProvider()
        self.sessions = Sessions()
        self.reader = Reader(build(view))
        self._used: set[str] = set()
        legacy = Legacy(view, self.reader)
        self._functions: dict[str, Callable[[etree._Element, str], Page]] = {
            "query": self.reader.query,
            "lookup": legacy.lookup,
            "read": legacy.read,
            "readByQuery": legacy.read_by_query,
            "readMore": legacy.read_more,
            "readEntityDetails": partial(entity_details, view),
            "get_accountbalances": partial(balances.answer, view),
            "get_trialbalance": partial(balances.answer, view),
        }

    def answer(
        self, body: bytes, content_type: str, authorization: str = "", *, session_host: bool
    ) -> Answer:
        """Answer one request; `session_host` says that it came to the endpoint that sessions are for."""
        if content_type.partition(";")[0].strip().lower() not in ACCEPTED:
            problem = Problem("GW-0011", "Invalid request: send application/xml")
            return self._refused(None, [problem], "http", status=400)
        by_token = authorization.lower().startswith("bearer ")
        if by_token and not self._good(authorization):
            return self._token_refused()
        try:
            request = read(body, by_token=by_token)
        except Malformed as error:
            problem = Problem("XL03000003", f"The XML document is malformed: {error}")
            return self._refused(None, [problem], "control")
        problems = self._control(request)
        if problems:
            return self._refused(request, problems, "control")
        signed = self._sign_in(request, session_host=session_host, by_token=by_token)
        if signed.problems:
            return self._finished(request, signed, [], "authentication")
        results = self._results(request, signed)
        failed = any(result.problems for result in results)
        return self._finished(request, signed, results, "result" if failed else "success")

    def _good(self, authorization: str) -> bool:
        """Say whether a token is alive and is our user's."""
        bearer = self.identity.find(authorization)
        return bearer is not None and bearer.subject == f"{self.credentials.user}@{self.credentials.company}"

    def _token_refused(self) -> Answer:
        problem = Problem(SIGN_IN, "The token is not valid.")
        answer = self._refused(None, [problem], "authentication", status=401)
        words = "the token is not known, has expired or is another user's"
        answer.headers["WWW-Authenticate"] = challenge("Sage Intacct", "invalid_token", words)
        return answer

    def _refused(
        self, request: Request | None, problems: Sequence[Problem], outcome: str, *, status: int = 200
    ) -> Answer:
        body = printed(refusal(request, problems), whitespace=True)
        return Answer(status, body, outcome=outcome)

    def _finished(self, request: Request, signed: Signed, results: Sequence[Result], outcome: str) -> Answer:
        return Answer(
            200,
            printed(answer(request, signed, results), whitespace=request.whitespace),
            function=",".join(call.name for call in request.calls),
            object=",".join(result.object for result in results if result.object),
            rows=sum(result.rows for result in results),
            user=signed.user if signed.status == "success" else "",
            outcome=outcome,
        )

    def _control(self, request: Request) -> list[Problem]:
        expected = self.credentials
        if request.sender != expected.sender or not secrets.compare_digest(
            request.sender_password.encode(), expected.sender_password.encode()
        ):
            return [Problem(SIGN_IN, "Incorrect Intacct XML Partner ID or password.")]
        if request.unique:
            if request.control_id in self._used:
                return [Problem("XL03000002", f"The control ID {request.control_id} was used before.")]
            self._used.add(request.control_id)
        return []

    def _sign_in(self, request: Request, *, session_host: bool, by_token: bool) -> Signed:
        """Check the login or the session; a session lives on by being used, a token stands for a login."""
        expected = self.credentials
        now = self.clock.now()
        until = now + timedelta(seconds=self.sessions.seconds)
        login = request.login
        if login is None:
            session = self.sessions.use(request.session) if session_host else None
            if session is None:
                problem = Problem(SIGN_IN, "The session has expired or is not valid: sign in again.")
                return Signed("", "", "", "failure", problems=[problem])
            return Signed(expected.user, expected.company, session.location, "success", now, until)
        given = (login.user, login.company, login.password)
        right = by_token or secrets.compare_digest(
            "\0".join(given).encode(), f"{expected.user}\0{expected.company}\0{expected.password}".encode()
        )
        if not right or (login.location and login.location not in self.view.books.entities):
            problem = Problem(SIGN_IN, "Sign-in information is incorrect")
            return Signed(login.user, login.company, login.location, "failure", problems=[problem])
        return Signed(expected.user, expected.company, login.location, "success", now, until)

    def _results(self, request: Request, signed: Signed) -> list[Result]:
        alone = len(request.calls) == 1
        results = [self._result(call, signed, alone=alone) for call in request.calls]
        if request.transaction and any(result.problems for result in results):
            for result in results:
                if not result.problems:
                    result.status, result.data, result.rows = "aborted", None, 0
                result.problems.append(ROLLED_BACK)
        return results

    def _result(self, call: Call, signed: Signed, *, alone: bool) -> Result:
        result = Result(call.name, call.control_id)
        try:
            page = self._called(call, signed, alone=alone)
        except BadQuery as error:
            result.status = "failure"
            support = secrets.token_hex(8)
            result.problems.append(Problem(error.number, f"{error} [Support ID: {support}%7E{support[:6]}]"))
            return result
        result.data, result.object, result.rows = page.data, page.object, page.rows
        return result

    def _called(self, call: Call, signed: Signed, *, alone: bool) -> Page:
        if call.name == "getAPISession":
            if not alone:
                raise BadQuery("getAPISession must be the only function of its request")
            return Page(self._session(call, signed), "", 0)
        act = self._functions.get(call.name)
        if act is None:
            raise BadQuery(f"Function {call.name} is not imitated: the sandbox is read only")
        return act(call.body, signed.location)

    def _session(self, call: Call, signed: Signed) -> etree._Element:
        """Open a session, for the entity asked for or the one signed in to."""
        asked = call.body.findtext("locationid")
        location = signed.location if asked is None else asked
        if location and location not in self.view.books.entities:
            raise BadQuery(f"Location {location} is not valid", "Get API Session Failed")
        session = self.sessions.open(location)
        data = etree.Element("data")
        api = put(data, "api")
        put(api, "sessionid", session.token)
        put(api, "endpoint", self.endpoint)
        put(api, "locationid", location)
        return data
