"""The console's pages over HTTP, inside Airflow's API server: rights, headers, errors in words.

Refuses strangers (401) and people who may not see DAGs (403), both as a page; shows no stack trace, no
server path and no SQL. When the hub's database does not answer, the page says so with status 200, because
the page itself works.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, available_timezones

import psycopg
from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Cookie, Depends, FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import ASGIApp

from encours.hub import Hub
from plugins.encours_pages import static_files
from plugins.encours_pages.addresses import address, in_shell
from plugins.encours_pages.connectors import UnknownState, connectors_page
from plugins.encours_pages.headers import KEPT, Headers
from receivables.errors import HubError

log = logging.getLogger(__name__)

TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
SENTENCES = {
    HTTPStatus.UNAUTHORIZED: "Your session has ended.",
    HTTPStatus.FORBIDDEN: "You may not look at this page. Ask an Encours administrator.",
    HTTPStatus.NOT_FOUND: "There is no page at this address.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This page can only be read.",
}
ASLEEP = "The hub's database does not answer. Airflow works. Runs wait."

Viewer = Depends(requires_access_dag("GET"))  # who may see DAGs may see whose books they keep


def pages() -> ASGIApp:
    """The application, to be mounted under /encours."""
    app = FastAPI(title="Encours console", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_api_route("/", connectors, dependencies=[Viewer], response_class=HTMLResponse)
    app.add_api_route("/static/{digest}/{name}", static_file, response_class=Response)
    app.add_exception_handler(StarletteHTTPException, refused)
    return Headers(app)


def connectors(
    state: str | None = None,
    all: str | None = None,  # noqa: A002  the name in the address
    encours_tz: Annotated[str | None, Cookie()] = None,
) -> HTMLResponse:
    """The Connectors page."""
    zone, now = _zone(encours_tz), datetime.now(UTC)
    try:
        with Hub.from_environment() as hub:
            statuses = hub.overview()
    except (psycopg.OperationalError, HubError) as error:
        log.error("The Connectors page cannot read the hub's database: %s", error)  # noqa: TRY400  no stack
        return _page("connectors.html", page=None, asleep=ASLEEP)
    try:
        page = connectors_page(statuses, state=state, everything=all == "1", now=now, zone=zone)
    except UnknownState as error:
        raise HTTPException(HTTPStatus.BAD_REQUEST, str(error)) from None
    return _page("connectors.html", page=page, asleep=None)


def static_file(digest: str, name: str) -> Response:
    """One file under the digest of all; 404 for any other name or digest."""
    content = static_files.static_files().get(name)
    if content is None or digest != static_files.digest():
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return Response(content, media_type=static_files.media_type(name), headers={"Cache-Control": KEPT})


def refused(request: Request, error: Exception) -> Response:
    """An error as a page with its own status: what happened and what to do."""
    status = HTTPStatus(getattr(error, "status_code", HTTPStatus.INTERNAL_SERVER_ERROR))
    sentence = SENTENCES.get(status, status.phrase)
    if status is HTTPStatus.BAD_REQUEST:
        sentence = getattr(error, "detail", sentence)
    sign_in = None
    if status is HTTPStatus.UNAUTHORIZED:
        back = in_shell(request.url.path.removeprefix(address("")) or "/")
        sign_in = get_auth_manager().get_url_login(next_url=back)
    return _page("refused.html", status=status, sentence=sentence, sign_in=sign_in)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _zone(name: str | None) -> ZoneInfo:
    """The reader's zone: a display preference, checked against the list, UTC otherwise."""
    return ZoneInfo(name if name in _zones() else "UTC")


def _page(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    text = TEMPLATES.get_template(template).render(
        static=static_files.static_address, path=address(""), home=address("/"), **values
    )
    return HTMLResponse(text, status_code=int(status))
