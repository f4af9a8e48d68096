"""Starts the provider: its public port, with latency, outages and lost answers, and the port of its control.

It refuses ports that are taken. What is asked for during an outage is logged and not processed.
"""

from __future__ import annotations

import ipaddress
import json
import os
import signal
import ssl
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from sandbox.idp import misbehaviour
from sandbox.idp.control import TRAP, Control, Switches
from sandbox.idp.exchange import Answer, Request
from sandbox.idp.misbehaviour import Order
from sandbox.idp.profile import Profile
from sandbox.idp.provider import Provider
from sandbox.idp.web import Handler, Server


@dataclass(frozen=True)
class Plan:
    """What to start: certificate and key serve https, `client_ca` checks the certificates of clients."""

    home: Path
    name: str
    profile: Profile
    port: int
    seed: int
    tls: tuple[Path, Path] | None
    client_ca: Path | None


class Front:
    """The public port: it listens, but for outages that refuse connections, and stays ours throughout."""

    def __init__(self, port: int, tls: ssl.SSLContext | None) -> None:
        self.switches = Switches()
        self.provider: Provider
        self._tls = tls
        self._server = Server(port, tls)
        self._listening = False
        self._lock = threading.Lock()
        self._ends: threading.Timer | None = None
        self.port: int = self._server.server_address[1]

    def outage(self, kind: str, seconds: float = 0.0) -> None:
        """Begin an outage, for some seconds or until it is ended (0), or end it (an empty kind)."""
        with self._lock:
            if self._ends is not None:
                self._ends.cancel()
            self.switches.go_out(kind)
            self._listen(wanted=kind != "refused")
            if kind and seconds > 0:
                self._ends = threading.Timer(seconds, self.outage, ("",))
                self._ends.daemon = True
                self._ends.start()

    def _listen(self, *, wanted: bool) -> None:
        if wanted and not self._listening:
            self._server.respond = self._respond
            self._server.open()
        elif self._listening and not wanted:
            self._server.close()
            self._server = Server(self.port, self._tls)
        self._listening = wanted

    def _respond(self, connection: Handler, request: Request) -> None:
        endpoint = self.provider.endpoint(request.path)
        outage = self.switches.outage
        if outage == "silent":
            self.switches.wait_silently()
        if outage:
            self._lose(connection, endpoint, request, f"outage {outage}")
            return
        order = self.provider.order_for(endpoint, request)
        kind = order.kind if order else ""
        time.sleep(self.switches.before)
        if kind == "hold_request":
            self.switches.hold(f"{endpoint} request")
        if kind == "lose_request":
            self._lose(connection, endpoint, request, kind)
            return
        answer = self.provider.answer(endpoint, request, order)
        time.sleep(self.switches.after)
        if kind == "hold_answer":
            self.switches.hold(f"{endpoint} answer")
        _send(connection, answer, order)

    def _lose(self, connection: Handler, endpoint: str, request: Request, why: str) -> None:
        """Log a request that is not processed, and close its connection, at most with a 503."""
        connection.close_connection = True
        status = 503 if why == "outage unavailable" else 0
        self.provider.write_lost(endpoint, request, why, status)
        if status:
            connection.send(Answer(status, b"<h1>Service unavailable</h1>", "text/html"))


def _send(connection: Handler, answer: Answer, order: Order | None) -> None:
    """Send an answer that was processed, or lose it as commanded."""
    kind = order.kind if order else ""
    if kind == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind in ("lose_answer", "cut_answer"):
        connection.close_connection = True
    if kind != "lose_answer":
        seconds = order.seconds if order else 0.0
        connection.send(
            answer,
            share=0.5 if kind == "cut_answer" else 1.0,
            pause=seconds if kind == "slow_drip" else 0.0,
            head_pause=seconds if kind == "slow_head" else 0.0,
        )


def _tls(plan: Plan) -> ssl.SSLContext | None:
    """Serve https, and ask clients for a certificate where an authority is named (RFC 8705, 2)."""
    if plan.tls is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(*plan.tls)
    if plan.client_ca is not None:
        context.load_verify_locations(plan.client_ca)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def opened(plan: Plan) -> dict[str, Any]:
    """Start, in threads of this process, and say where everything is and how to sign in.

    Raises:
        ValueError: a port is taken, or a quirk of the profile is unknown.
    """
    plan.home.mkdir(parents=True, exist_ok=True)
    for kind in plan.profile.quirks:
        misbehaviour.check(kind)
    try:
        front = Front(plan.port, _tls(plan))
        back = Server(plan.port + 1 if plan.port else 0)
    except OSError as error:
        raise ValueError(f"port {plan.port} or the next cannot be used: {error.strerror}") from error
    host = "https://localhost" if plan.tls else "http://127.0.0.1"
    control_url = f"http://127.0.0.1:{back.server_address[1]}"
    provider = Provider(plan.home, f"{host}:{front.port}", control_url + TRAP, plan.profile, plan.seed)
    control = Control(provider, front.switches, front.outage)

    def answer_local(connection: Handler, request: Request) -> None:
        if ipaddress.ip_address(connection.client_address[0]).is_loopback:
            connection.send(control.answer(request))

    back.respond = answer_local
    front.provider = provider
    front.outage("")
    back.open()
    return {"profile": plan.name, "control": control_url, **provider.describe()}


def serve(plan: Plan) -> None:
    """Start, print one JSON line when ready, and answer until SIGTERM or SIGINT; raises as `opened` does."""
    described = opened(plan)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    sys.stdout.write(json.dumps(described) + "\n")
    sys.stdout.flush()
    threading.Event().wait()


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)
