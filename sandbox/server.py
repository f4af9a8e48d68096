"""Starts the tenants, each on ports of its own, in one process, and stops them on SIGTERM or SIGINT.

It refuses ports that are taken and tenants or faults that are unknown, before the first request is answered.
"""

from __future__ import annotations

import base64
import json
import signal
import socket
import ssl
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox import clerk, faults, gateway, world
from sandbox.bearer import IdentityProvider
from sandbox.clock import Clock
from sandbox.control import AccessLog, Tenant
from sandbox.idp import profile
from sandbox.idp import serve as idp
from sandbox.intacct import clerk as intacct_clerk
from sandbox.intacct import gateway as intacct_gateway
from sandbox.intacct import tenant as intacct_tenant
from sandbox.intacct import view as intacct_view
from sandbox.intacct import world as intacct_world
from sandbox.tenant import SapTenant

FIRST_DAYS = {world.EXAMPLE: world.EXAMPLE_TODAY, intacct_world.EXAMPLE: intacct_world.EXAMPLE_TODAY}

CLIENT = "encours-basic"  # one of those that the identity provider knows from the start
ACCESS_SECONDS = 60


@dataclass(frozen=True)
class Plan:
    """What to start; the tenant `oauth` has an identity provider of its own, started with it."""

    tenants: Sequence[str]
    home: Path
    port: int
    items: int
    seed: int
    today: date | None
    faults: Sequence[str]
    tls: tuple[Path, Path] | None
    idp: str
    oauth: str = ""


def build_tenants(plan: Plan) -> list[Tenant]:
    """Build every tenant's world and switch on the faults asked for (`name` or `name:tenant`).

    Raises:
        ValueError: an unknown tenant or fault, or a fault that nothing in the books fits.
    """
    tenants: list[Tenant] = []
    for name in plan.tenants:
        build = _intacct if name in intacct_world.TENANTS else _sap
        tenants.append(build(plan, name, Clock(plan.today or FIRST_DAYS.get(name))))
    for wanted in plan.faults:
        fault, _, of = wanted.partition(":")
        chosen = [tenant for tenant in tenants if of in ("", tenant.name)]
        if not chosen:
            raise ValueError(f"fault {fault}: there is no tenant {of}")
        knowing = [tenant for tenant in chosen if tenant.knows_fault(fault)]
        if not knowing:
            raise ValueError(f"{' and '.join(tenant.name for tenant in chosen)} know no fault {fault}")
        for tenant in knowing:
            tenant.switch_fault(fault)
    return tenants


def _sap(plan: Plan, name: str, clock: Clock) -> Tenant:
    books = world.build(name, today=clock.today(), open_items=plan.items, seed=plan.seed)
    user = gateway.Credentials(f"COMM_{name.upper()}", _secret(f"password {name} {plan.seed}"))
    log = AccessLog(name, plan.home / "access.jsonl")
    answering = gateway.Gateway(faults.View(books, plan.seed), user)
    answering.identity = IdentityProvider(plan.idp)
    return SapTenant(name, answering, log, clerk.Clerk(books, f"{name} {plan.seed}", clock))


def _intacct(plan: Plan, name: str, clock: Clock) -> Tenant:
    books = intacct_world.build(name, today=clock.today(), open_items=plan.items, seed=plan.seed)
    given = intacct_gateway.Credentials(
        sender="EncoursMPP",
        sender_password=_secret(f"sender {name} {plan.seed}"),
        company=name,
        user="api_reader",
        password=_secret(f"user {name} {plan.seed}"),
    )
    log = AccessLog(name, plan.home / "access.jsonl")
    found = intacct_gateway.Gateway(intacct_view.View(books, plan.seed), given, clock)
    found.identity = IdentityProvider(plan.idp)
    return intacct_tenant.IntacctTenant(
        name, found, log, intacct_clerk.Clerk(books, f"{name} {plan.seed}", clock)
    )


def _secret(seed: str) -> str:
    """Make up a password; the same seed gives the same."""
    return base64.b32encode(Random(seed).randbytes(15)).decode()


def _with_provider(plan: Plan, tenants: Sequence[Tenant], port: int) -> dict[str, Any]:
    """Start the identity provider of one tenant, whose users sign in by OAuth from then on.

    Raises:
        ValueError: there is no such SAP tenant, or a port is taken.
    """
    for tenant in tenants:
        if tenant.name == plan.oauth and isinstance(tenant, SapTenant):
            named = profile.load("sap-like", {"access_seconds": ACCESS_SECONDS})
            provider = idp.opened(
                idp.Plan(plan.home / "idp", "sap-like", named, port, plan.seed, plan.tls, client_ca=None)
            )
            tenant.gateway.identity = IdentityProvider(provider["control"])
            tenant.client = {
                "token_url": provider["endpoints"]["token"],
                "client_id": CLIENT,
                "client_secret": provider["clients"][CLIENT]["secret"],
                "scopes": [f"{service}_0001" for service in profile.SAP_SERVICES],
            }
            return provider
    raise ValueError(f"there is no SAP tenant {plan.oauth}")


def serve(plan: Plan) -> None:
    """Start, print one JSON line when ready, and answer until SIGTERM or SIGINT."""
    plan.home.mkdir(parents=True, exist_ok=True)
    count = sum(2 if name in intacct_world.TENANTS else 1 for name in plan.tenants)
    sockets = [_listen(plan.port + n if plan.port else 0) for n in range(count)]
    tenants = build_tenants(plan)
    provider = _with_provider(plan, tenants, plan.port and plan.port + count) if plan.oauth else None
    host = "https://localhost" if plan.tls else "http://127.0.0.1"
    ports = [opened.getsockname()[1] for opened in sockets]
    places = _places(tenants, [f"{host}:{port}" for port in ports])
    applications: dict[int, ASGIApp] = dict(
        zip(ports, (a for t in tenants for a in t.applications(places[t.name])), strict=True)
    )

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
    ready = {
        "url": f"{host}:{ports[0]}",
        "tenants": {tenant.name: tenant.describe(places[tenant.name]) for tenant in tenants},
    } | ({"idp": provider} if provider else {})
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    server.run(sockets=sockets)


def _places(tenants: Sequence[Tenant], urls: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """Give each tenant its addresses, in order."""
    found, rest = {}, list(urls)
    for tenant in tenants:
        found[tenant.name], rest = rest[: tenant.ports], rest[tenant.ports :]
    return found


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
