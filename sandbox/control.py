"""What the tenants of the sandbox share: the access log, and how control addresses are answered.

Control addresses are no part of an imitated system and answer local callers only. What cannot be done is
answered with 400 and a sentence.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

LARGEST_CONTROL_BODY = 1_000_000
DRIP_BYTES = 512


class Tenant(Protocol):
    """One simulated ERP; it answers on one or more ports, the first of which is its control address."""

    name: str

    @property
    def ports(self) -> int:
        """How many ports it answers on."""
        ...

    def applications(self, urls: Sequence[str]) -> Sequence[ASGIApp]:
        """Build the web applications, one per port, told their addresses."""
        ...

    def describe(self, urls: Sequence[str]) -> dict[str, Any]:
        """Say where it is and how to sign in."""
        ...

    def knows_fault(self, name: str) -> bool:
        """Say whether a fault of this name can be switched on."""
        ...

    def switch_fault(self, name: str) -> None:
        """Switch a fault on."""
        ...


@dataclass
class AccessLog:
    """Every request to the gateway, in memory and as JSON lines in a file shared by all tenants."""

    tenant: str
    path: Path
    entries: list[dict[str, Any]] = field(default_factory=list)

    def write(self, request: Request, facts: Mapping[str, Any], sent: int, seconds: float) -> None:
        """Append one request with what the gateway says of it; the time is UTC."""
        entry = {
            "number": len(self.entries) + 1,
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "tenant": self.tenant,
            "method": request.method,
            "path": request.url.path,
            "query": request.url.query,
            **facts,
            "bytes": sent,
            "milliseconds": round(seconds * 1000),
        }
        self.entries.append(entry)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")

    async def since(self, request: Request) -> dict[str, Any]:
        """Give the requests after number `since`."""
        number = int(request.query_params.get("since", "0"))
        return {"last": len(self.entries), "requests": self.entries[number:]}


class Refused(Exception):
    """A control request that cannot be done; the sentence says why."""


async def json_body(request: Request) -> dict[str, Any]:
    """Read a control request's JSON object.

    Raises:
        Refused: it is too large or no object.
    """
    content = await request.body()
    if len(content) > LARGEST_CONTROL_BODY:
        raise Refused("the request is too large")
    value = json.loads(content or b"{}")
    if not isinstance(value, dict):
        raise Refused("send a JSON object")
    return value


def control(act: Callable[[Request], Any]) -> Callable[[Request], Any]:
    """Answer local callers with JSON, and what cannot be done with 400 and a sentence."""

    async def endpoint(request: Request) -> Response:
        if request.client is None or not ipaddress.ip_address(request.client.host).is_loopback:
            return JSONResponse({"error": "control addresses answer local callers only"}, 403)
        try:
            return JSONResponse(await act(request))
        except (Refused, ValueError) as error:
            return JSONResponse({"error": str(error)}, 400)

    return endpoint


async def drip(body: bytes, seconds: float) -> AsyncIterator[bytes]:
    """Send a body slowly."""
    for position in range(0, len(body), DRIP_BYTES):
        yield body[position : position + DRIP_BYTES]
        await asyncio.sleep(seconds)
