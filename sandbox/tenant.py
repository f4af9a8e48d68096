"""One simulated ERP on an origin of its own: the gateway under /sap/, the control addresses under /_sandbox/.

Control addresses answer local callers only and are no part of the imitated system. Every request to /sap/ is
written to the access log. Requests are answered one at a time, so a page never shows half a posting.
"""

from __future__ import annotations

import asyncio
import gzip
import ipaddress
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from sandbox import journal, misbehaviour
from sandbox.clerk import Clerk
from sandbox.gateway import ROOT, Answer, Credentials, Gateway, Paging
from sandbox.misbehaviour import Misbehaviours, Order

LARGEST_CONTROL_BODY = 1_000_000
DRIP_BYTES = 512


@dataclass
class AccessLog:
    """Every request to the gateway, in memory and as JSON lines in a file shared by all tenants."""

    tenant: str
    path: Path
    entries: list[dict[str, Any]] = field(default_factory=list)

    def write(self, request: Request, answer: Answer, sent: int, seconds: float) -> None:
        """Append one request; the time is UTC."""
        entry = {
            "number": len(self.entries) + 1,
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "tenant": self.tenant,
            "method": request.method,
            "path": request.url.path,
            "query": request.url.query,
            "service": answer.service,
            "set": answer.set_name,
            "status": answer.status,
            "rows": answer.rows,
            "bytes": sent,
            "user": answer.user,
            "milliseconds": round(seconds * 1000),
        }
        self.entries.append(entry)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")


class Refused(Exception):
    """A control request that cannot be done; the sentence says why."""


@dataclass
class Tenant:
    """The parts of one simulated ERP, and its web application."""

    name: str
    gateway: Gateway
    log: AccessLog
    clerk: Clerk
    misbehaviours: Misbehaviours = field(default_factory=Misbehaviours)

    @property
    def credentials(self) -> Credentials:
        """The communication user."""
        return self.gateway.credentials

    @property
    def company_codes(self) -> list[str]:
        """The company codes in the books."""
        return list(self.gateway.view.books.companies)

    def application(self) -> Starlette:
        """Build the web application."""
        methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "MERGE"]
        return Starlette(
            routes=[
                Route(ROOT + "{path:path}", self.sap, methods=methods),
                Route("/_sandbox/log", _control(self.read_log), methods=["GET"]),
                Route("/_sandbox/journal", _control(self.read_journal), methods=["GET"]),
                Route("/_sandbox/faults", _control(self.faults), methods=["GET", "POST"]),
                Route("/_sandbox/post", _control(self.post), methods=["POST"]),
                Route("/_sandbox/misbehave", _control(self.misbehave), methods=["GET", "POST", "DELETE"]),
                Route("/_sandbox/paging", _control(self.page), methods=["POST"]),
            ]
        )

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
        self.log.write(request, answer, len(body), time.monotonic() - started)
        if order is not None and order.kind == "slow_drip":
            drops = _drip(body, order.seconds)
            return StreamingResponse(drops, answer.status, headers, answer.media_type)
        return Response(body, answer.status, headers, answer.media_type)

    async def read_log(self, request: Request) -> dict[str, Any]:
        """Give the requests after number `since`."""
        since = int(request.query_params.get("since", "0"))
        return {"last": len(self.log.entries), "requests": self.log.entries[since:]}

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

    async def faults(self, request: Request) -> dict[str, Any]:
        """List the faults that are on with what they did; POST switches one."""
        view = self.gateway.view
        if request.method == "POST":
            wish = await _body(request)
            view.switch(
                str(wish.get("name")),
                on=bool(wish.get("on", True)),
                company_code=wish.get("company_code"),
                customer=wish.get("customer"),
            )
        return {"faults": [{"name": fault.name, "did": fault.did} for fault in view.faults.values()]}

    async def post(self, request: Request) -> dict[str, Any]:
        """Post business into the books."""
        return {"posted": self.clerk.post(await _body(request))}

    async def misbehave(self, request: Request) -> dict[str, Any]:
        """Command a misbehaviour; GET lists those that wait, DELETE forgets them."""
        if request.method == "DELETE":
            self.misbehaviours.orders.clear()
        if request.method == "POST":
            wish = await _body(request)
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
        wish = await _body(request)
        self.gateway.paging[str(wish.get("set"))] = Paging(
            wish.get("limit"), links=bool(wish.get("links", True))
        )
        return {"paging": {name: asdict(paging) for name, paging in self.gateway.paging.items()}}


async def _drip(body: bytes, seconds: float) -> AsyncIterator[bytes]:
    for position in range(0, len(body), DRIP_BYTES):
        yield body[position : position + DRIP_BYTES]
        await asyncio.sleep(seconds)


async def _body(request: Request) -> dict[str, Any]:
    content = await request.body()
    if len(content) > LARGEST_CONTROL_BODY:
        raise Refused("the request is too large")
    value = json.loads(content or b"{}")
    if not isinstance(value, dict):
        raise Refused("send a JSON object")
    return value


def _control(act: Callable[[Request], Any]) -> Callable[[Request], Any]:
    """Answer local callers with JSON, and what cannot be done with 400 and a sentence."""

    async def endpoint(request: Request) -> Response:
        if request.client is None or not ipaddress.ip_address(request.client.host).is_loopback:
            return JSONResponse({"error": "control addresses answer local callers only"}, 403)
        try:
            return JSONResponse(await act(request))
        except (Refused, ValueError) as error:
            return JSONResponse({"error": str(error)}, 400)

    return endpoint
