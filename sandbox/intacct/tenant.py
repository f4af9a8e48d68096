"""One simulated Intacct company on two ports: the gateway for logins, and the endpoint of its sessions.

Control addresses are on the first port, answer local callers only and are no part of the imitated system.
Every request to the gateway is written to the access log, without bodies and so without secrets. Requests are
answered one at a time, so an answer never shows half a posting.
"""

from __future__ import annotations

import gzip
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from sandbox.control import AccessLog, Refused, control, drip, json_body
from sandbox.intacct import evening, journal, misbehaviour
from sandbox.intacct.clerk import Clerk
from sandbox.intacct.faults import FAULTS, switch
from sandbox.intacct.gateway import PATH, Answer, Gateway
from sandbox.intacct.misbehaviour import Misbehaviours, Order
from sandbox.intacct.view import View
from sandbox.posting import Posting


@dataclass
class IntacctTenant:
    """The parts of one simulated company, and its web applications."""

    name: str
    gateway: Gateway
    log: AccessLog
    clerk: Clerk
    misbehaviours: Misbehaviours = field(default_factory=Misbehaviours)
    posting: Posting = field(init=False)

    def __post_init__(self) -> None:
        self.posting = Posting(self.clerk)

    @property
    def ports(self) -> int:
        """One for logins and control, one for sessions."""
        return 2

    @property
    def view(self) -> View:
        """The books as the user sees them."""
        return self.gateway.view

    def describe(self, urls: Sequence[str]) -> dict[str, Any]:
        """Say where it is and how to sign in."""
        given = self.gateway.credentials
        return {
            "system": "sage_intacct",
            "url": urls[0] + PATH,
            "endpoint": urls[1] + PATH,
            "control": urls[0],
            "sender_id": given.sender,
            "sender_password": given.sender_password,
            "company_id": given.company,
            "user": given.user,
            "password": given.password,
            "entities": list(self.view.books.entities),
        }

    def knows_fault(self, name: str) -> bool:
        """Say whether a fault of this name can be switched on."""
        return name in FAULTS

    def switch_fault(self, name: str) -> None:
        """Switch a fault on."""
        switch(self.view, name, on=True)

    def applications(self, urls: Sequence[str]) -> list[Starlette]:
        """Build the two web applications; sessions are told to go to the second."""
        self.gateway.endpoint = urls[1] + PATH
        gateway, sessions = (self._gateway(session_host=host) for host in (False, True))
        return [
            Starlette(
                routes=[
                    Route(PATH, gateway, methods=["POST"]),
                    Route("/_sandbox/log", control(self.log.since), methods=["GET"]),
                    Route("/_sandbox/clock", control(self.clerk.clock.told), methods=["GET"]),
                    Route("/_sandbox/journal", control(self.read_journal), methods=["GET"]),
                    Route("/_sandbox/evening", control(self.read_evening), methods=["GET"]),
                    Route("/_sandbox/day", control(self.move_day), methods=["POST"]),
                    Route("/_sandbox/faults", control(self.faults), methods=["GET", "POST"]),
                    Route("/_sandbox/post", control(self.post), methods=["POST"]),
                    Route("/_sandbox/rate", control(self.posting.control), methods=["GET", "POST"]),
                    Route("/_sandbox/moments", control(self.read_moments), methods=["GET"]),
                    Route("/_sandbox/misbehave", control(self.misbehave), methods=["GET", "POST", "DELETE"]),
                    Route("/_sandbox/sessions", control(self.sessions), methods=["POST"]),
                    Route("/_sandbox/forms", control(self.forms), methods=["POST"]),
                ]
            ),
            Starlette(routes=[Route(PATH, sessions, methods=["POST"])]),
        ]

    def _gateway(self, *, session_host: bool) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            started = time.monotonic()
            body = await request.body()
            order = self.misbehaviours.take(body)
            if order is not None and order.kind == "session_expired":
                self.gateway.sessions.end_all()
            media_type, authorization = (
                request.headers.get(name, "") for name in ("content-type", "authorization")
            )
            answer = self.gateway.answer(body, media_type, authorization, session_host=session_host)
            if order is not None:
                answer = misbehaviour.apply(order, answer)
            return self._sent(request, answer, order, started, host="session" if session_host else "login")

        return endpoint

    def _sent(
        self, request: Request, answer: Answer, order: Order | None, started: float, *, host: str
    ) -> Response:
        headers, body = dict(answer.headers), answer.body
        if "gzip" in request.headers.get("accept-encoding", "") and len(body) > 1000:
            body = gzip.compress(body, compresslevel=1, mtime=0)
            headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        facts = {
            "host": host,
            "function": answer.function,
            "object": answer.object,
            "status": answer.status,
            "outcome": answer.outcome,
            "rows": answer.rows,
            "user": answer.user,
        }
        self.log.write(request, facts, len(body), time.monotonic() - started)
        if order is not None and order.kind == "slow_drip":
            drops = drip(body, order.seconds)
            return StreamingResponse(drops, answer.status, headers, answer.media_type)
        return Response(body, answer.status, headers, answer.media_type)

    async def read_journal(self, request: Request) -> dict[str, Any]:
        """Give balances and open items of one entity or all, at the end of a day of the ledger or now."""
        text = request.query_params.get("as_of")
        as_of = date.fromisoformat(text) if text else None
        entity = request.query_params.get("entity")
        return {
            "today": self.view.books.today.isoformat(),
            "now": self.gateway.clock.now().isoformat(),
            "as_of": text,
            "balances": journal.balances(self.view.books, entity, as_of),
            "open_items": journal.open_items(self.view.books, entity, as_of),
        }

    async def read_evening(self, request: Request) -> dict[str, Any]:
        """Give open items and unapplied receipts as the books showed them at the end of a day."""
        return evening.told(self.view.books, date.fromisoformat(request.query_params.get("day", "")))

    async def move_day(self, request: Request) -> dict[str, Any]:
        """End the current day and its sessions; what is posted from then on is entered on the new day."""
        wish = await json_body(request)
        moved = self.clerk.begin(date.fromisoformat(str(wish.get("day"))))
        self.gateway.sessions.end_all()
        return moved

    async def faults(self, request: Request) -> dict[str, Any]:
        """List the faults that are on with what they did; POST switches one."""
        if request.method == "POST":
            wish = await json_body(request)
            switch(
                self.view,
                str(wish.get("name")),
                on=bool(wish.get("on", True)),
                entity=wish.get("entity"),
                customer=wish.get("customer"),
            )
        return {"faults": [{"name": fault.name, "did": fault.did} for fault in self.view.faults.values()]}

    async def post(self, request: Request) -> dict[str, Any]:
        """Post business into the books."""
        return {"posted": self.clerk.post(await json_body(request))}

    async def read_moments(self, request: Request) -> dict[str, Any]:
        """Give the balances of the journal at every moment from `since` to `until`."""
        asked = request.query_params
        return self.view.books.moments.told(asked.get("since", ""), asked.get("until", ""))

    async def misbehave(self, request: Request) -> dict[str, Any]:
        """Command a misbehaviour; GET lists those that wait, DELETE forgets them."""
        if request.method == "DELETE":
            self.misbehaviours.orders.clear()
        if request.method == "POST":
            wish = await json_body(request)
            try:
                order = Order(**wish)
            except TypeError as error:
                raise Refused(
                    f"a misbehaviour has {', '.join(item.name for item in fields(Order))}: {error}"
                ) from error
            self.misbehaviours.give(order)
        return {"waiting": [asdict(order) for order in self.misbehaviours.orders if order.times > 0]}

    async def sessions(self, request: Request) -> dict[str, Any]:
        """Set how long a session lives without a call, and end all of them on request."""
        wish = await json_body(request)
        if "seconds" in wish:
            self.gateway.sessions.seconds = float(wish["seconds"])
        ended = self.gateway.sessions.end_all() if wish.get("expire") else 0
        return {"seconds": self.gateway.sessions.seconds, "ended": ended}

    async def forms(self, request: Request) -> dict[str, Any]:
        """Choose how a sum is named in answers: `SUM.TOTALDUE`, or the field's own name."""
        wish = await json_body(request)
        self.gateway.reader.prefixed_sums = bool(wish.get("prefixed_sums", True))
        return {"prefixed_sums": self.gateway.reader.prefixed_sums}


def origin(url: str) -> str:
    """Give scheme, host and port of an address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
