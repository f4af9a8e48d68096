"""One simulated SAP system on an origin of its own: the gateway under /sap/, the control addresses beside it.

Control addresses answer local callers only and are no part of the imitated system. Every request to /sap/ is
written to the access log. Requests are answered one at a time, so a page never shows half a posting.
"""

from __future__ import annotations

import gzip
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from sandbox import evening, journal, misbehaviour
from sandbox.clerk import Clerk
from sandbox.control import AccessLog, Refused, control, drip, json_body
from sandbox.faults import FAULTS
from sandbox.gateway import ROOT, Answer, Credentials, Gateway, Paging
from sandbox.misbehaviour import Misbehaviours, Order
from sandbox.posting import Posting


@dataclass
class SapTenant:
    """The parts of one simulated SAP system, and its web application."""

    name: str
    gateway: Gateway
    log: AccessLog
    clerk: Clerk
    client: dict[str, Any] | None = None  # how to sign in where it is by OAuth
    misbehaviours: Misbehaviours = field(default_factory=Misbehaviours)
    posting: Posting = field(init=False)

    def __post_init__(self) -> None:
        self.posting = Posting(self.clerk)

    @property
    def ports(self) -> int:
        """It answers on one port."""
        return 1

    @property
    def credentials(self) -> Credentials:
        """The communication user."""
        return self.gateway.credentials

    def describe(self, urls: Sequence[str]) -> dict[str, Any]:
        """Say where it is and how to sign in: as a client of its identity provider, else as the user."""
        user = {"user": self.credentials.user, "password": self.credentials.password}
        return {
            "system": "sap_s4hana",
            "url": urls[0],
            **(self.client or user),
            "company_codes": list(self.gateway.view.books.companies),
        }

    def knows_fault(self, name: str) -> bool:
        """Say whether a fault of this name can be switched on."""
        return name in FAULTS

    def switch_fault(self, name: str) -> None:
        """Switch a fault on."""
        self.gateway.view.switch(name, on=True)

    def applications(self, _urls: Sequence[str]) -> list[Starlette]:
        """Build the web application."""
        methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "MERGE"]
        return [
            Starlette(
                routes=[
                    Route(ROOT + "{path:path}", self.sap, methods=methods),
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
                    Route("/_sandbox/paging", control(self.page), methods=["POST"]),
                ]
            )
        ]

    async def sap(self, request: Request) -> Response:
        """Answer an OData request, rightly or as commanded."""
        started = time.monotonic()
        answer = self.gateway.answer(request, request.path_params["path"])
        order = self.misbehaviours.take(answer) if answer.status == 200 else None
        if order is not None:
            answer = misbehaviour.apply(order, request, answer)
        headers, body = dict(answer.headers), answer.body
        if "gzip" in request.headers.get("accept-encoding", "") and len(body) > 1000:
            body = gzip.compress(body, compresslevel=1, mtime=0)
            headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        self.log.write(request, _facts(answer), len(body), time.monotonic() - started)
        if order is not None and order.kind == "slow_drip":
            drops = drip(body, order.seconds)
            return StreamingResponse(drops, answer.status, headers, answer.media_type)
        return Response(body, answer.status, headers, answer.media_type)

    async def read_journal(self, request: Request) -> dict[str, Any]:
        """Give balances and open items of one company code or all, at the end of a day or now."""
        text = request.query_params.get("as_of")
        as_of = date.fromisoformat(text) if text else None
        code = request.query_params.get("company_code")
        books = self.gateway.view.books
        return {
            "today": books.today.isoformat(),
            "as_of": text,
            "balances": journal.balances(books, code, as_of),
            "open_items": journal.open_items(books, code, as_of),
        }

    async def read_evening(self, request: Request) -> dict[str, Any]:
        """Give open items and unapplied receipts as the books showed them at the end of a day."""
        return evening.told(self.gateway.view.books, date.fromisoformat(request.query_params.get("day", "")))

    async def move_day(self, request: Request) -> dict[str, Any]:
        """End the current day and go to a later one; what is posted from then on is entered on it."""
        wish = await json_body(request)
        return self.clerk.begin(date.fromisoformat(str(wish.get("day"))))

    async def faults(self, request: Request) -> dict[str, Any]:
        """List the faults that are on with what they did; POST switches one."""
        view = self.gateway.view
        if request.method == "POST":
            wish = await json_body(request)
            view.switch(
                str(wish.get("name")),
                on=bool(wish.get("on", True)),
                company_code=wish.get("company_code"),
                customer=wish.get("customer"),
            )
        return {"faults": [{"name": fault.name, "did": fault.did} for fault in view.faults.values()]}

    async def post(self, request: Request) -> dict[str, Any]:
        """Post business into the books."""
        return {"posted": self.clerk.post(await json_body(request))}

    async def read_moments(self, request: Request) -> dict[str, Any]:
        """Give the balances of the journal at every moment from `since` to `until`."""
        asked = request.query_params
        return self.gateway.view.books.moments.told(asked.get("since", ""), asked.get("until", ""))

    async def misbehave(self, request: Request) -> dict[str, Any]:
        """Command a misbehaviour; GET lists those that wait, DELETE forgets them."""
        if request.method == "DELETE":
            self.misbehaviours.orders.clear()
        if request.method == "POST":
            wish = await json_body(request)
            if "set" in wish:
                wish["target"] = wish.pop("set")
            try:
                order = Order(**wish)
            except TypeError as error:
                raise Refused(
                    f"a misbehaviour has kind, set, times, after, property, value, seconds: {error}"
                ) from error
            self.misbehaviours.give(order)
        return {"waiting": [asdict(order) for order in self.misbehaviours.orders if order.times > 0]}

    async def page(self, request: Request) -> dict[str, Any]:
        """Set a set's page limit and whether it gives links."""
        wish = await json_body(request)
        self.gateway.paging[str(wish.get("set"))] = Paging(
            wish.get("limit"), links=bool(wish.get("links", True))
        )
        return {"paging": {name: asdict(paging) for name, paging in self.gateway.paging.items()}}


def _facts(answer: Answer) -> dict[str, Any]:
    return {
        "service": answer.service,
        "set": answer.set_name,
        "status": answer.status,
        "rows": answer.rows,
        "user": answer.user,
    }
