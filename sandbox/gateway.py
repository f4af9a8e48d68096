"""The simulated SAP Gateway: OData V2 services of one tenant, read only, under /sap/opu/odata/sap/.

Envelope, raw values and paging parameters follow recorded answers and the OpenAPI files [F]; statuses,
error codes and the HTML of a failed sign-in are customary [D, K]; so is that a bearer token needs the scope
`<SERVICE>_0001` [K]. It refuses writing, `$batch`, `$expand`, Atom feeds and what `sandbox.query` and
`sandbox.filters` refuse: with a V2 error, as JSON or Atom XML as the request asks.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote, urlencode
from xml.sax.saxutils import escape

import msgspec
from starlette.requests import Request

from sandbox import edmx, ledger
from sandbox.bearer import IdentityProvider, challenge
from sandbox.faults import View
from sandbox.filters import BadQuery, Column, key_predicate
from sandbox.query import Chooser, Chosen, Options, read_options
from sandbox.sets import BALANCE, EntitySet, entity_sets, make_columns
from sandbox.wire import PRINTERS

ROOT = "/sap/opu/odata/sap/"
RESOURCE = re.compile(r"(?P<set>\w+)(?:\((?P<key>.*)\))?(?P<count>/\$count)?")
JSON = "application/json;charset=utf-8"
NOT_FOUND_CODE = "005056A509B11EE1B9A8FEC11C23378E"
REALM = "SAP NetWeaver Application Server [S4H/100]"
UNAUTHORISED = (
    b"<html><head><title>Logon failed</title></head><body><h1>Anmeldung fehlgeschlagen</h1></body></html>"
)


@dataclass(frozen=True)
class Paging:
    """A server's page limit (None: none) and whether pages are linked by `__next` with `$skiptoken`."""

    limit: int | None
    links: bool


@dataclass(frozen=True)
class Credentials:
    """The communication user."""

    user: str
    password: str


@dataclass
class Answer:
    """What is sent back, with the figures that the access log keeps."""

    status: int
    body: bytes
    media_type: str
    headers: Mapping[str, str]
    service: str = ""
    set_name: str = ""
    rows: int = 0
    user: str = ""


class Failure(Exception):
    """A request that is answered by an error."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def error_body(code: str, message: str, *, as_json: bool) -> tuple[bytes, str]:
    """Print an error as V2 JSON [F: `error` schema] or as Atom XML [D]; gives body and media type."""
    transaction = secrets.token_hex(16).upper()
    if as_json:
        error = {
            "code": code,
            "message": {"lang": "en", "value": message},
            "innererror": {"transactionid": transaction, "errordetails": []},
        }
        return msgspec.json.encode({"error": error}), JSON
    text = (
        '<?xml version="1.0" encoding="utf-8"?>'
        '<error xmlns="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata">'
        f'<code>{escape(code)}</code><message xml:lang="en">{escape(message)}</message>'
        f"<innererror><transactionid>{transaction}</transactionid><errordetails/></innererror></error>"
    )
    return text.encode(), "application/xml;charset=utf-8"


class Gateway:
    """Answers the OData requests of one tenant."""

    def __init__(self, view: View, credentials: Credentials) -> None:
        self.view = view
        self.credentials = credentials
        self.identity = IdentityProvider()
        self.paging = {
            "A_Customer": Paging(500, links=True),
            "A_BusinessPartnerAddress": Paging(500, links=True),
            "GLAccountLineItem": Paging(500, links=True),
        }
        self._sets = entity_sets()
        self._balances = edmx.entity_types(ledger.SERVICE)[ledger.RESULTS]
        self._chooser = Chooser()

    def answer(self, request: Request, path: str) -> Answer:
        """Answer one request; `path` is what follows the root of the services."""
        service, _, resource = path.partition("/")
        resource = resource.rstrip("/")
        as_json = self._wants_json(request)
        user: str | None = ""
        try:
            user = self._signed_in(request, service)
            if user is None:
                realm = {"WWW-Authenticate": _challenge(request)}
                return Answer(401, UNAUTHORISED, "text/html;charset=utf-8", realm, service, resource)
            answer = self._answer(request, service, resource, as_json=as_json)
        except BadQuery as error:
            body, media_type = error_body(error.code, str(error), as_json=as_json)
            answer = Answer(400, body, media_type, {}, service, resource)
        except Failure as error:
            body, media_type = error_body(error.code, error.message, as_json=as_json)
            answer = Answer(error.status, body, media_type, {}, service, resource)
        answer.user = user or ""
        return answer

    def _signed_in(self, request: Request, service: str) -> str | None:
        """Give the name of the user that signed in with the right password or with a live token.

        Raises:
            Failure: the token is not good for the service.
        """
        header = request.headers.get("authorization", "")
        scheme, _, value = header.partition(" ")
        if scheme.lower() == "bearer":
            bearer = self.identity.find(header)
            if bearer is not None and f"{service}_0001" not in bearer.scope:
                raise Failure(403, "/IWFND/CM_MGW/004", "No authorization to access Service")
            return bearer.subject if bearer else None
        expected = f"{self.credentials.user}:{self.credentials.password}".encode()
        try:
            given = base64.b64decode(value, validate=True)
        except ValueError:
            return None
        if scheme.lower() != "basic" or not secrets.compare_digest(given, expected):
            return None
        return self.credentials.user

    @staticmethod
    def _wants_json(request: Request) -> bool:
        return request.query_params.get("$format") == "json" or "application/json" in request.headers.get(
            "accept", ""
        )

    def _answer(self, request: Request, service: str, resource: str, *, as_json: bool) -> Answer:
        if request.method not in ("GET", "HEAD"):
            raise Failure(
                405,
                "/IWFND/CM_MGW/077",
                f"Method '{request.method}' is not imitated: the sandbox is read only",
            )
        if service not in edmx.services():
            raise Failure(
                403, "/IWFND/MED/170", f"No service found for namespace '', name '{service}', version '0001'"
            )
        if resource == "$metadata":
            return Answer(200, edmx.document(service), "application/xml", _version(), service, resource)
        if not as_json:
            raise Failure(
                406, "/IWFND/CM_MGW/060", "The sandbox prints JSON only: ask with $format=json or Accept"
            )
        if not resource:
            names = sorted(edmx.entity_types(service))
            return _json(service, "", {"EntitySets": names}, 0)
        if service == ledger.SERVICE:
            return self._trial_balance(request, resource)
        match = RESOURCE.fullmatch(resource)
        chosen_set = self._sets[service].get(match["set"]) if match else None
        if match is None or chosen_set is None:
            raise Failure(
                404, NOT_FOUND_CODE, f"Resource not found for the segment '{resource.partition('(')[0]}'"
            )
        if match["key"] is not None:
            return self._entity(request, chosen_set, match["key"])
        return self._list(request, chosen_set, only_count=match["count"] is not None)

    def _trial_balance(self, request: Request, resource: str) -> Answer:
        match = ledger.PATH.fullmatch(resource)
        if match is None:
            raise Failure(
                404, NOT_FOUND_CODE, "Read C_TRIALBALANCE(P_FromPostingDate=...,P_ToPostingDate=...)/Results"
            )
        start, end = ledger.periods(match["parameters"])
        options = read_options(request.query_params, self._balances)
        chosen = self._chooser.choose(
            (self._version(), start, end),
            self._balances,
            make_columns(BALANCE),
            lambda _accounts: ledger.balances(self.view, start, end),
            options,
        )
        return self._page(request, self._balances, chosen, options)

    def _list(self, request: Request, chosen_set: EntitySet, *, only_count: bool) -> Answer:
        declared = chosen_set.type
        options = read_options(request.query_params, declared)
        chosen = self._chooser.choose(
            self._version(), declared, chosen_set.columns, partial(chosen_set.rows, self.view), options
        )
        if only_count:
            count = str(len(chosen.rows)).encode()
            return Answer(
                200, count, "text/plain;charset=utf-8", _version(), declared.service, declared.set_name
            )
        return self._page(request, declared, chosen, options)

    def _entity(self, request: Request, chosen_set: EntitySet, key: str) -> Answer:
        declared = chosen_set.type
        values = key_predicate(key, declared.key, declared.properties)
        columns = chosen_set.columns
        options = read_options(request.query_params, declared)
        for row in chosen_set.rows(self.view, {values[declared.key[0]]}):
            if all(columns[name](row) == value for name, value in values.items()):
                return _json(
                    declared.service,
                    declared.set_name,
                    self._print(request, declared, columns, [row], options)[0],
                    1,
                )
        raise Failure(
            404, "/IWBEP/CM_MGW_RT/020", f"Resource not found for segment '{declared.name.split('.')[-1]}'"
        )

    def _version(self) -> tuple[int, int]:
        return (self.view.books.version, self.view.version)

    def _page(self, request: Request, declared: edmx.EntityType, chosen: Chosen, options: Options) -> Answer:
        """Cut a page; the server's limit comes with a link to the rest where the set gives links."""
        paging = self.paging.get(declared.set_name, Paging(None, links=False))
        wanted = len(chosen.rows) - options.skip if options.top is None else options.top
        size = wanted if paging.limit is None else min(wanted, paging.limit)
        rows = chosen.rows[options.skip : options.skip + max(size, 0)]
        payload: dict[str, Any] = {"results": self._print(request, declared, chosen.columns, rows, options)}
        if options.count:
            payload["__count"] = str(len(chosen.rows))
        remaining = len(chosen.rows) - options.skip - len(rows)
        if paging.links and size < wanted and remaining > 0:
            payload["__next"] = _next_link(request, options, len(rows))
        return _json(declared.service, declared.set_name, payload, len(rows))

    @staticmethod
    def _print(
        request: Request,
        declared: edmx.EntityType,
        columns: Mapping[str, Column],
        rows: Any,
        options: Options,
    ) -> list[dict[str, Any]]:
        """Print rows with `__metadata`, in the order in which the properties are declared."""
        base = f"{request.url.scheme}://{request.url.netloc}{ROOT}{declared.service}/{declared.set_name}"
        names = [
            name
            for name in declared.properties
            if name in columns and (not options.select or name in options.select)
        ]
        printers = [(name, columns[name], PRINTERS[declared.properties[name].type]) for name in names]
        keys = [(name, columns[name]) for name in declared.key if name in columns]
        printed = []
        for row in rows:
            address = f"{base}({_key(keys, row)})" if keys else f"{base}('generated-{secrets.token_hex(4)}')"
            cells: dict[str, Any] = {"__metadata": {"id": address, "uri": address, "type": declared.name}}
            for name, column, form in printers:
                value = column(row)
                cells[name] = form(value) if form else value
            printed.append(cells)
        return printed


def _challenge(request: Request) -> str:
    """Ask for what the caller tried to sign in with."""
    if request.headers.get("authorization", "").lower().startswith("bearer "):
        return challenge(REALM, "invalid_token", "the token is not known, has expired or was revoked")
    return f'Basic realm="{REALM}"'


def _key(keys: list[tuple[str, Column]], row: Any) -> str:
    if len(keys) == 1:
        return f"'{quote(str(keys[0][1](row)), safe='')}'"
    return ",".join(f"{name}='{quote(str(column(row)), safe='')}'" for name, column in keys)


def _next_link(request: Request, options: Options, given: int) -> str:
    query = dict(request.query_params)
    skipped = int(query.get("$skip", "0"))
    query["$skiptoken"] = str(options.skip - skipped + given)
    if options.top is not None:
        query["$top"] = str(options.top - given)
    path = quote(request.url.path, safe="/(),=")
    return f"{request.url.scheme}://{request.url.netloc}{path}?{urlencode(query)}"


def _version() -> dict[str, str]:
    return {"DataServiceVersion": "2.0"}


def _json(service: str, set_name: str, payload: Any, rows: int) -> Answer:
    return Answer(200, msgspec.json.encode({"d": payload}), JSON, _version(), service, set_name, rows)
