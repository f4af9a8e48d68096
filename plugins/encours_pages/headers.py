"""The headers of every answer under /encours, errors and crashes included.

A page of ours may run only our own files, talk only to this host and be framed only by Airflow. Pages are
never stored; static files are kept for a year, because their path changes with their contents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self';"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'; object-src 'none'"
)
EVERYWHERE = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "SAMEORIGIN",
}
NEVER_STORED = "no-store"
KEPT = "public, max-age=31536000, immutable"


class Headers:
    """Wraps the application from outside, so that nothing leaves it without these headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Adds the headers to the start of the answer."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(EVERYWHERE)
                headers["Cache-Control"] = headers.get("Cache-Control", NEVER_STORED)
            await send(message)

        await self._app(scope, receive, send_with_headers)
