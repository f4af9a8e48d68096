"""A network between a hub and an ERP that can be cut: a proxy in whose hands answers are lost.

It passes on one request a connection. Told to lose an answer it closes the connection instead of giving it, once
the ERP has answered: the request has done its work over there, and the hub does not know.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

Loses = Callable[[bytes], bool]  # asked with the request, its address and body, whether its answer is lost
PATIENCE = 60  # seconds for the ERP to answer
OF_ONE_CONNECTION = {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "content-length"}


@dataclass
class Network:
    """The proxy at `address`: how many requests it has passed on, and of which the answers were lost."""

    address: str
    passed: int = 0
    lost: list[bytes] = field(default_factory=list)
    loses: Loses = lambda _: False

    def heal(self) -> None:
        """Every answer arrives again."""
        self.loses = lambda _: False


class _Passage(BaseHTTPRequestHandler):
    """One request on its way; the request line names the whole address (RFC 9112, 3.2.2)."""

    network: Network

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        answer, content = self._answered(body)
        self.network.passed += 1
        request = self.path.encode() + b"\n" + body
        self.close_connection = True
        if self.network.loses(request):
            self.network.lost.append(request)
            return
        self.send_response_only(answer.status)
        for name, value in _kept(answer.getheaders()):
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET  # noqa: N815

    def _answered(self, body: bytes) -> tuple[HTTPResponse, bytes]:
        parts = urlsplit(self.path)
        erp = HTTPConnection(parts.netloc, timeout=PATIENCE)
        try:
            target = parts._replace(scheme="", netloc="").geturl()
            erp.request(self.command, target, body or None, dict(_kept(self.headers.items())))
            answer = erp.getresponse()
            return answer, answer.read()
        finally:
            erp.close()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  as http.server calls it
        """Says nothing: what was asked is in the ERP's own log."""


def _kept(headers: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    return ((name, value) for name, value in headers if name.lower() not in OF_ONE_CONNECTION)


@contextmanager
def running() -> Iterator[Network]:
    """A network that is there until the block is left."""
    network = Network("")
    passage = type("_PassageOfOne", (_Passage,), {"network": network})
    with ThreadingHTTPServer(("127.0.0.1", 0), passage) as server:
        network.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield network
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def network() -> Iterator[Network]:
    """A network of the test's own."""
    with running() as found:
        yield found
