"""HTTP for the provider: a thread for every connection, answers that can be sent slowly or in part.

It refuses bodies over 64 KiB and requests without a length, and drops those that break off.
"""

from __future__ import annotations

import contextlib
import io
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from sandbox.idp.exchange import Answer, OAuthError, Request, refused

LARGEST_BODY = 65_536


class Handler(BaseHTTPRequestHandler):
    """One connection: reads requests, lets the server's `respond` answer them."""

    server: Server
    protocol_version = "HTTP/1.1"
    timeout = 120

    def log_message(self, *_arguments: Any) -> None:
        """Print nothing: the provider keeps the log."""

    def version_string(self) -> str:
        """Name no version."""
        return "sandbox-idp"

    def do_GET(self) -> None:
        """Answer, whatever the method."""
        request = self._read()
        if request is not None:
            self.server.respond(self, request)

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

    def _read(self) -> Request | None:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdecimal() or int(length) > LARGEST_BODY:
            self.close_connection = True
            self.send(refused(OAuthError("invalid_request", "the body is too large or has no length")))
            self._linger()
            return None
        body = self.rfile.read(int(length))
        if len(body) < int(length):  # the caller went away: what is incomplete is not processed (RFC 9112, 8)
            self.close_connection = True
            return None
        parts = urlsplit(self.path)
        secured = self.connection if isinstance(self.connection, ssl.SSLSocket) else None
        return Request(
            method=self.command,
            path=parts.path,
            query=parts.query,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=body,
            certificate=secured.getpeercert(binary_form=True) if secured else None,
        )

    def _linger(self) -> None:
        """Take in what the caller still sends, for two seconds: closing at once would cost it the answer."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(2)
            while self.connection.recv(LARGEST_BODY):
                continue

    def send(
        self, answer: Answer, *, share: float = 1.0, pause: float = 0.0, head_pause: float = 0.0
    ) -> None:
        """Send an answer: only a `share` of its body, or with a `pause` in seconds after every byte.

        `head_pause` is that of the status line and the headers.
        """
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.media_type)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        connection = self.wfile
        self.wfile = _Drip(connection, head_pause)
        self.end_headers()
        self.wfile = _Drip(connection, pause)
        self.wfile.write(answer.body[: int(len(answer.body) * share)])
        self.wfile = connection


class _Drip(io.BufferedIOBase):
    """Writes to a connection, with a pause in seconds after every byte, or at once."""

    def __init__(self, connection: io.BufferedIOBase, pause: float) -> None:
        self._connection = connection
        self._pause = pause

    def write(self, content: Any, /) -> int:
        """Write it all."""
        step = 1 if self._pause else max(len(content), 1)
        for position in range(0, len(content), step):
            self._connection.write(content[position : position + step])
            time.sleep(self._pause)
        return len(content)


class Server(ThreadingHTTPServer):
    """A port of this machine: held from the start, and refusing connections until it is opened."""

    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.respond: Callable[[Handler, Request], None]
        self._tls = tls
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), Handler, bind_and_activate=False)
        try:
            self.server_bind()
        except OSError:
            self.server_close()
            raise

    def open(self) -> None:
        """Begin to listen and to answer."""
        self.server_activate()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; the thread that serves it shakes hands."""
        accepted, address = super().get_request()
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is not None:
            accepted = self._tls.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)
        self._open.add(accepted)
        return accepted, address

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of callers that went away; everything else is a fault of ours."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def close(self) -> None:
        """Stop listening and cut every connection."""
        self.shutdown()
        self.server_close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
