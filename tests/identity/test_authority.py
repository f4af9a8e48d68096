"""Signing over real HTTP: the connector's origin gets the secret, nobody else ever does."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import UUID

import pytest
import requests

from identity.authority import Authority
from identity.errors import Denied
from identity.kinds import ApiKey, Basic, Material
from identity.secret import Secret
from identity.signing import SigningAuth

KEY = "canary-key-4711"


@dataclass(frozen=True)
class Link:
    origin: str
    credential_id: UUID | None
    tenant_id: int = 1
    key: str = "acme-s4"


@dataclass
class Server:
    """Answers 200 to everything and remembers the headers; /to?URL answers 307 to that URL."""

    origin: str = ""
    seen: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.seen.append(dict(self.headers))
            path, _, target = self.path.partition("?")
            self.send_response(307 if path == "/to" else 200)
            if path == "/to":
                self.send_header("Location", target)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server.origin = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()


@pytest.fixture
def ours() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def foreign() -> Iterator[Server]:
    with serving() as server:
        yield server


def signing(origin: str) -> SigningAuth:
    return SigningAuth("acme-s4", UUID(int=7), origin, ApiKey("APIKey", Secret(KEY)))


@pytest.fixture
def link(authority: Authority) -> Callable[[Material, str], Link]:
    def connect(content: Material, origin: str) -> Link:
        return Link(origin, authority.credentials.create(1, content, label="acme", by="test"))

    return connect


Connect = Callable[[Material, str], Link]


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def test_basic_in_utf_8(authority: Authority, link: Connect, ours: Server, session: requests.Session) -> None:
    auth = authority.auth(link(Basic("ENCOURS", Secret("pä€日:x")), ours.origin))
    assert session.get(f"{ours.origin}/sap/opu", auth=auth, timeout=5).status_code == 200
    scheme, _, text = ours.seen[0]["Authorization"].partition(" ")
    assert (scheme, base64.b64decode(text).decode("utf-8")) == ("Basic", "ENCOURS:pä€日:x")


def test_api_key_in_its_header(
    authority: Authority, link: Connect, ours: Server, session: requests.Session
) -> None:
    auth = authority.auth(link(ApiKey("APIKey", Secret(KEY)), ours.origin))
    session.get(f"{ours.origin}/", auth=auth, timeout=5)
    assert ours.seen[0]["APIKey"] == KEY
    assert "Authorization" not in ours.seen[0]


def test_uses_are_counted_across_threads() -> None:
    auth = signing("https://sap.example")
    request = requests.Request("GET", "https://sap.example/", auth=auth)
    with ThreadPoolExecutor(8) as pool:
        signed = list(pool.map(lambda _: request.prepare(), range(400)))
    assert all(one.headers["APIKey"] == KEY for one in signed)
    assert auth.uses == 400


@pytest.mark.parametrize(
    "url",
    [
        "https://sap.example:44300/other/path?x=1",
        "HTTPS://SAP.example:44300/",
        "https://sap.example:44300",
    ],
)
def test_the_same_origin_in_other_letters(url: str) -> None:
    auth = signing("https://sap.example:44300/sap/opu/odata/sap")
    assert requests.Request("GET", url, auth=auth).prepare().headers["APIKey"] == KEY


def test_the_default_port_may_be_written() -> None:
    auth = signing("https://sap.example")
    assert requests.Request("GET", "https://sap.example:443/", auth=auth).prepare().headers["APIKey"] == KEY


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://evil.example:44300/", "foreign_origin"),
        ("https://sap.example/", "foreign_origin"),
        ("https://sap.example:44301/", "foreign_origin"),
        ("http://sap.example:44300/", "foreign_origin"),
        ("https://sap.example.evil.example:44300/", "foreign_origin"),
        ("https://evil.example:44300/https://sap.example:44300", "foreign_origin"),
        ("https://evil.example:44300/\\@sap.example:44300/", "foreign_origin"),
        ("https://evil.example:44300#@sap.example:44300/", "foreign_origin"),
        ("https://sap.example:44300@evil.example/", "invalid_address"),
        ("https://canary:canary@sap.example:44300/", "invalid_address"),
        ("ftp://sap.example:44300/", "invalid_address"),
        ("mailto:x@sap.example", "invalid_address"),
    ],
)
def test_other_origins_are_refused_unsigned(url: str, code: str) -> None:
    auth = signing("https://sap.example:44300")
    request = requests.Request("GET", url).prepare()
    # requests takes user info out of the address when it has an auth; a caller may put it back.
    request.url = url if code == "invalid_address" else request.url
    with pytest.raises(Denied) as raised:
        auth(request)
    assert raised.value.code == code
    assert "acme-s4" in str(raised.value)
    assert "canary" not in str(raised.value)
    assert "APIKey" not in request.headers
    assert auth.uses == 0


def test_a_redirect_to_another_host_never_carries_the_key(
    authority: Authority, link: Connect, ours: Server, foreign: Server, session: requests.Session
) -> None:
    address = f"{ours.origin}/to?{foreign.origin}/catch"
    # Without our check requests hands the key over: this is what the check is for.
    session.get(address, headers={"APIKey": KEY}, timeout=5)
    assert foreign.seen.pop()["APIKey"] == KEY

    auth = authority.auth(link(ApiKey("APIKey", Secret(KEY)), ours.origin))
    for path in (address, f"{ours.origin}/to?{ours.origin}/to?{foreign.origin}/catch"):
        with pytest.raises(Denied, match="signs requests of") as raised:
            session.get(path, auth=auth, timeout=5)
        assert foreign.origin in str(raised.value)
        assert KEY not in str(raised.value)
    assert foreign.seen == []


def test_a_redirect_at_home_is_followed(
    authority: Authority, link: Connect, ours: Server, session: requests.Session
) -> None:
    auth = authority.auth(link(ApiKey("APIKey", Secret(KEY)), ours.origin))
    assert session.get(f"{ours.origin}/to?/next", auth=auth, timeout=5).status_code == 200
    assert [headers["APIKey"] for headers in ours.seen] == [KEY, KEY]


def test_no_credential_is_said(authority: Authority) -> None:
    with pytest.raises(Denied, match="acme-s4 has no credential yet"):
        authority.auth(Link("https://sap.example", None))


def test_another_tenants_credential_cannot_be_borrowed(authority: Authority, link: Connect) -> None:
    made = link(ApiKey("APIKey", Secret(KEY)), "https://sap.example")
    with pytest.raises(Denied, match="Tenant 2 has no credential"):
        authority.auth(Link(made.origin, made.credential_id, tenant_id=2))


@pytest.mark.parametrize(
    "origin",
    ["", "sap.example", "https://", "https://u:canary@sap.example", "https://[::1", "https://h:99999"],
)
def test_an_origin_that_is_none_is_refused(origin: str) -> None:
    with pytest.raises(Denied) as raised:
        signing(origin)
    assert raised.value.code == "invalid_address"
    assert "canary" not in str(raised.value)


def test_a_replaced_secret_signs_from_the_next_auth_on(authority: Authority, link: Connect) -> None:
    made = link(ApiKey("APIKey", Secret("old")), "https://sap.example")
    assert made.credential_id is not None
    authority.credentials.replace(1, made.credential_id, ApiKey("APIKey", Secret("new")), by="test")
    request = requests.Request("GET", "https://sap.example/", auth=authority.auth(made)).prepare()
    assert request.headers["APIKey"] == "new"
