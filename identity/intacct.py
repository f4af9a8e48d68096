"""Sessions at Sage Intacct: secrets that stand in the body of each request, and an end that comes by itself.

The request comes with its control and authentication elements empty; they are filled here. The first request,
one whose session is about to end, and one after `renew` log in first (getAPISession, alone in its request).
The login's answer names an endpoint: all later requests go there. Refuses (Denied) a body without the empty
places, an endpoint that is neither https below intacct.com nor one of the hosts allowed by the installation,
and a login that the other side refuses, naming the pair that is wrong. Source: developer.intacct.com,
"Requests", "Sessions", "Error handling".
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from lxml import etree
from requests import PreparedRequest

from identity.errors import Denied, TryLater
from identity.kinds import IntacctLogin
from identity.ports import Clock, Exchange
from identity.secret import Body, Secret
from identity.signing import OriginAuth, origin

SUFFIX: Final = ".intacct.com"
MARGIN: Final = timedelta(minutes=5)  # a session with less than this left is not used any more
LONGEST_ANSWER: Final = 256 * 1024
LONGEST_TEXT: Final = 300
AGAIN: Final = "try again later"  # in a correction: nothing is wrong with the request
LOGIN: Final = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<request><control><senderid/><password/>'
    b"<controlid>sign-in</controlid><uniqueid>false</uniqueid><dtdversion>3.0</dtdversion>"
    b'<includewhitespace>false</includewhitespace></control><operation transaction="false"><authentication/>'
    b'<content><function controlid="sign-in"><getAPISession/></function></content></operation></request>'
)


@dataclass
class _Session:
    """One session: its secret id, where it is good, and how long it lives after each use (None: not told)."""

    id: Secret
    endpoint: str
    lifetime: timedelta | None
    used_at: datetime

    def ends_soon(self, now: datetime) -> bool:
        """Whether too little is left of it; a session slides with each use."""
        if self.lifetime is None:
            return False
        return now - self.used_at > self.lifetime - min(MARGIN, self.lifetime / 2)


class IntacctAuth(OriginAuth):
    """Fills the secrets into requests of the connector's gateway and sends them to the session's endpoint."""

    def __init__(
        self,
        connector: str,
        credential_id: UUID,
        origin_url: str,
        content: IntacctLogin,
        *,
        exchange: Exchange,
        clock: Clock,
        endpoints: Collection[str] = (),
    ) -> None:
        super().__init__(connector, credential_id, origin_url)
        self._content = content
        self._exchange = exchange
        self._clock = clock
        self._endpoints = frozenset(endpoints)
        self._signing_in = threading.Lock()
        self._session: _Session | None = None

    def renew(self, request: PreparedRequest) -> bool:
        """Forgets the session that signed this request, unless another has taken its place already."""
        with self._signing_in:
            session = self._session
            if session is not None and session.id.reveal().encode() in _text(request).encode():
                self._session = None
        return True

    def _sign(self, request: PreparedRequest) -> PreparedRequest:
        with self._signing_in:
            if self._session is None or self._session.ends_soon(self._clock()):
                self._session = self._signed_in(request.url or "")
            session = self._session
            session.used_at = self._clock()
        self._fill(request, {"sessionid": session.id})
        request.url = session.endpoint
        return request

    def _signed_in(self, gateway: str) -> _Session:
        self._count()
        response = _parsed(Body(self._exchange(gateway, LOGIN, self._sign_login)), self._connector)
        self._refuse_failure(response)
        result = response.find("operation/result")
        if result is None or result.findtext("status") != "success":
            raise TryLater("no_result", f"{self._connector}: Intacct did not finish the sign-in.")
        session = Secret(result.findtext("data/api/sessionid", ""))
        endpoint = result.findtext("data/api/endpoint", "").strip()
        if not session.reveal():
            raise TryLater("no_session", f"{self._connector}: Intacct's sign-in brought no session.")
        return _Session(session, self._allowed(endpoint), _lifetime(response), used_at=self._clock())

    def _sign_login(self, request: PreparedRequest) -> PreparedRequest:
        content = self._content
        pair: dict[str, str | Secret] = {"userid": content.subject, "companyid": content.company}
        self._fill(request, {"login": pair | {"password": content.secret}})
        return request

    def _fill(
        self, request: PreparedRequest, authentication: dict[str, Secret | dict[str, str | Secret]]
    ) -> None:
        """Fills the control and authentication elements, which must be there and empty."""
        root = _parsed(Body(_text(request).encode()), self._connector)
        self._place(root, "control/senderid").text = self._content.sender
        self._place(root, "control/password").text = self._content.sender_secret.reveal()
        _add(self._place(root, "operation/authentication"), authentication)
        request.prepare_body(etree.tostring(root, encoding="UTF-8", xml_declaration=True), None)

    def _place(self, root: etree._Element, path: str) -> etree._Element:
        place = root.find(path)
        if place is None or len(place) or (place.text or "").strip():
            raise Denied(
                "unexpected_body",
                f"{self._connector}: a request has no empty place {path} for its credentials. "
                "Nothing was sent.",
            )
        return place

    def _refuse_failure(self, response: etree._Element) -> None:
        """Raises Denied naming the pair that is wrong, or TryLater."""
        control, operation = response.find("control"), response.find("operation")
        if response.find("acknowledgement") is not None:
            raise Denied(
                "asynchronous",
                f"{self._connector}: Intacct answers later, by a policy of the sender id "
                f"{self._content.sender}. Have the policy removed: a connector needs answers at once.",
            )
        if control is None or control.findtext("status") != "success":
            raise self._refusal(
                response,
                f"the sender's pair is wrong: sender id {self._content.sender} and its password. "
                "Correct the sender password",
            )
        if operation is None:
            raise TryLater("no_operation", f"{self._connector}: Intacct did not answer the sign-in.")
        if operation.findtext("authentication/status") != "success":
            raise self._refusal(
                operation,
                f"the user's pair is wrong: user {self._content.subject} of company {self._content.company} "
                "and its password, or the company has not authorised the sender id. Correct the password",
            )
        result = operation.find("result")
        if result is not None and result.findtext("status") in ("failure", "aborted"):
            raise self._refusal(result, "the sign-in failed. Check the user's rights at Intacct")

    def _refusal(self, place: etree._Element, sentence: str) -> Denied | TryLater:
        errors = place.findall("errormessage/error")
        words = [
            text
            for error in errors
            for name in ("errorno", "description", "description2")
            if (text := error.findtext(name, "").strip())
        ]
        says = self._clean(" ".join(words))
        code = self._clean(errors[0].findtext("errorno", "").strip() if errors else "") or "refused"
        if any(AGAIN in error.findtext("correction", "").lower() for error in errors):
            return TryLater(code, f"{self._connector}: Intacct asks to try again later. It says: {says}")
        said = f" It says: {says}" if says else ""
        return Denied(code, f"{self._connector}: {sentence}.{said}")

    def _clean(self, words: str) -> str:
        """The other side's words, short, printable and without our secrets."""
        for secret in (self._content.secret, self._content.sender_secret):
            words = words.replace(secret.reveal(), "[hidden]")
        return "".join(c if c.isprintable() else " " for c in words)[:LONGEST_TEXT]

    def _allowed(self, endpoint: str) -> str:
        """The endpoint, if a session may be taken there."""
        scheme, host, _ = origin(self._connector, endpoint)
        known = scheme == "https" and host.endswith(SUFFIX)
        if not (known or host in self._endpoints) or urlsplit(endpoint).fragment:
            raise Denied(
                "foreign_endpoint",
                f"{self._connector}: the sign-in names an endpoint at {scheme}://{host[:100]}, which is not "
                f"https below {SUFFIX[1:]}. Nothing was sent there.",
            )
        return endpoint


def _add(into: etree._Element, content: dict[str, Secret | dict[str, str | Secret]]) -> None:
    for name, value in content.items():
        element = etree.SubElement(into, name)
        if isinstance(value, dict):
            for part, text in value.items():
                etree.SubElement(element, part).text = text.reveal() if isinstance(text, Secret) else text
        else:
            element.text = value.reveal()


def _text(request: PreparedRequest) -> str:
    body = request.body
    return body.decode() if isinstance(body, bytes) else str(body or "")


def _parsed(body: Body, connector: str) -> etree._Element:
    """The root of an XML text; raises TryLater for what is none, Denied for one with a DOCTYPE."""
    if len(body.reveal()) > LONGEST_ANSWER:
        raise Denied("answer_size", f"{connector}: Intacct's answer to a sign-in is too long.")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(body.reveal(), parser)
    except (etree.XMLSyntaxError, ValueError):
        raise TryLater("not_xml", f"{connector}: Intacct's answer to a sign-in is no XML.") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise Denied("doctype", f"{connector}: Intacct's answer has a DOCTYPE, which is not accepted.")
    return root


def _lifetime(response: etree._Element) -> timedelta | None:
    """How long a session lives after a use, from the first stamp to the time-out; None where not told."""
    try:
        said = [
            datetime.fromisoformat(response.findtext(f"operation/authentication/{name}", "").strip())
            for name in ("sessiontimestamp", "sessiontimeout")
        ]
        lifetime = said[1] - said[0]
    except (ValueError, TypeError):
        return None
    return lifetime if lifetime > timedelta(0) else None
