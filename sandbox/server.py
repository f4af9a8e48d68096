"""Starts the tenants, each on a port of its own, in one process, and stops them on SIGTERM or SIGINT.

It refuses ports that are taken and tenants or faults that are unknown, before the first request is answered.
"""

from __future__ import annotations

import base64
import json
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.clerk import Clerk
from sandbox.faults import View
from sandbox.gateway import Credentials, Gateway
from sandbox.tenant import AccessLog, Tenant
from sandbox.world import EXAMPLE, EXAMPLE_TODAY, build


@dataclass(frozen=True)
class Plan:
    """What to start."""

    tenants: Sequence[str]
    home: Path
    port: int
    items: int
    seed: int
    today: date | None
    faults: Sequence[str]
    tls: tuple[Path, Path] | None


def build_tenants(plan: Plan) -> list[Tenant]:
    """Build every tenant's world and switch on the faults asked for (`name` or `name:tenant`).

    Raises:
        ValueError: an unknown tenant or fault, or a fault that nothing in the books fits.
    """
    tenants = []
    for name in plan.tenants:
        today = plan.today or (EXAMPLE_TODAY if name == EXAMPLE else _utc_today())
        clock = _utc_today if plan.today is None and name != EXAMPLE else _stopped(today)
        books = build(name, today=today, open_items=plan.items, seed=plan.seed)
        gateway = Gateway(View(books, plan.seed), _credentials(name, plan.seed))
        log = AccessLog(name, plan.home / "access.jsonl")
        tenants.append(Tenant(name, gateway, log, Clerk(books, f"{name} {plan.seed}", clock)))
    for wanted in plan.faults:
        fault, _, of = wanted.partition(":")
        chosen = [tenant for tenant in tenants if of in ("", tenant.name)]
        if not chosen:
            raise ValueError(f"fault {fault}: there is no tenant {of}")
        for tenant in chosen:
            tenant.gateway.view.switch(fault, on=True)
    return tenants


def _utc_today() -> date:
    return datetime.now(UTC).date()


def _stopped(day: date) -> Callable[[], date]:
    return lambda: day


def _credentials(tenant: str, seed: int) -> Credentials:
    """Make up a user and a password; the same seed gives the same."""
    password = base64.b32encode(Random(f"password {tenant} {seed}").randbytes(15)).decode()
    return Credentials(f"COMM_{tenant.upper()}", password)


def serve(plan: Plan) -> None:
    """Start, print one JSON line when ready, and answer until SIGTERM or SIGINT."""
    plan.home.mkdir(parents=True, exist_ok=True)
    sockets = [_listen(plan.port + n if plan.port else 0) for n in range(len(plan.tenants))]
    tenants = build_tenants(plan)
    ports = [opened.getsockname()[1] for opened in sockets]
    applications: dict[int, ASGIApp] = {
        port: tenant.application() for port, tenant in zip(ports, tenants, strict=True)
    }

    async def by_port(scope: Scope, receive: Receive, send: Send) -> None:
        await applications[scope["server"][1]](scope, receive, send)

    config = uvicorn.Config(
        by_port,
        lifespan="off",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=2,
        ssl_certfile=plan.tls[0] if plan.tls else None,
        ssl_keyfile=plan.tls[1] if plan.tls else None,
        ssl_version=ssl.PROTOCOL_TLS_SERVER,
    )
    server = uvicorn.Server(config)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    ready = describe(tenants, ports, "https://localhost" if plan.tls else "http://127.0.0.1")
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    server.run(sockets=sockets)


def describe(tenants: Sequence[Tenant], ports: Sequence[int], host: str) -> Mapping[str, Any]:
    """Say where each tenant is and how to sign in."""
    found = {
        tenant.name: {
            "url": f"{host}:{port}",
            "user": tenant.credentials.user,
            "password": tenant.credentials.password,
            "company_codes": tenant.company_codes,
        }
        for tenant, port in zip(tenants, ports, strict=True)
    }
    return {"url": f"{host}:{ports[0]}", "tenants": found}


def _listen(port: int) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind(("127.0.0.1", port))
    except OSError as error:
        opened.close()
        raise ValueError(f"port {port} cannot be used: {error.strerror}") from error
    opened.listen(128)
    return opened


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)
