"""A session's limits and its words, against real servers that misbehave."""

from __future__ import annotations

import base64
import gzip
import itertools
import socket
import threading
import time
import zlib
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network

import pytest
from requests import PreparedRequest
from requests.auth import AuthBase, HTTPBasicAuth

from connectors.kit.addresses import check, origin_of
from connectors.kit.failures import NotOffered, retry_after
from connectors.kit.http import MAX_BODY
from connectors.kit.odata_v2 import error_text
from receivables.errors import HubError, Misconfigured, RateLimited, Rejected, Transient
from tests.connectors.conftest import Reply, serving, session

SECRET = "pa55-w0rd-never-shown"
SIGNED = HTTPBasicAuth("COMM_USER", SECRET)
GZIP = {"Content-Type": "application/json", "Content-Encoding": "gzip"}


def ask(reply: Reply, **options: object) -> bytes:
    with serving(lambda _path, _headers: reply) as server, session(server.url, SIGNED, **options) as http:
        return http.get(f"{server.url}/x?secret=1", stream="customers", says=error_text).body


def refused(kind: type[HubError], reply: Reply, **options: object) -> str:
    with pytest.raises(kind) as error:
        ask(reply, **options)
    assert str(error.value).startswith("acme-s4, customers: ")
    assert SECRET not in str(error.value)
    return str(error.value)


def test_a_packed_answer_is_unpacked_and_gzip_is_asked_for() -> None:
    with (
        serving(lambda _p, _h: Reply(gzip.compress(b'{"a":1}'), headers=GZIP)) as server,
        session(server.url) as http,
    ):
        assert http.get(f"{server.url}/x", stream="s").body == b'{"a":1}'
        assert server.asked[0][1]["accept-encoding"] == "gzip"
        assert "authorization" not in server.asked[0][1]


def test_limits_of_packed_answers() -> None:
    bomb = gzip.compress(b"0" * (40 * 1024 * 1024))
    assert "unpacks to more" in refused(Rejected, Reply(bomb, headers=GZIP))
    assert "unpacks to more" in refused(Rejected, Reply(gzip.compress(b"0" * 10_000_000), headers=GZIP))
    lying = gzip.compress(b"0" * 10_000_000)[:-4] + (100).to_bytes(4, "little")
    assert "unpacks to more" in refused(Rejected, Reply(lying, headers=GZIP))
    whole = gzip.compress(b'{"a":"b"}' * 100)
    assert "damaged gzip" in refused(Rejected, Reply(whole[:-4] + b"\1\0\0\0", headers=GZIP))
    assert "broke off" in refused(Transient, Reply(whole[:-9], headers=GZIP))
    assert "bytes follow" in refused(Rejected, Reply(whole + b"more", headers=GZIP))
    assert "says it is gzip and is not" in refused(Rejected, Reply(b"plain", headers=GZIP))
    damaged = whole[:12] + b"\xff" * 12 + whole[24:]
    assert "damaged gzip" in refused(Rejected, Reply(damaged, headers=GZIP))
    packed = Reply(zlib.compress(b"{}"), headers={**GZIP, "Content-Encoding": "br"})
    assert "only gzip was asked for" in refused(Rejected, packed)


def test_an_answer_that_is_too_large_is_refused() -> None:
    assert "larger than 32 MiB" in refused(Rejected, Reply(b" " * (MAX_BODY + 1)))


def test_an_answer_that_breaks_off_is_asked_for_again() -> None:
    replies = iter([Reply(b'{"a', declared=100), Reply(b'{"a":1}')])
    with serving(lambda _p, _h: next(replies)) as server, session(server.url) as http:
        assert http.get(f"{server.url}/x", stream="s").body == b'{"a":1}'
        assert len(server.asked) == 2


def test_an_answer_that_always_breaks_off_is_transient() -> None:
    assert "broke off in the middle" in refused(Transient, Reply(b'{"a', declared=100))


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (401, Misconfigured, "refused the connector's credential (401)"),
        (403, NotOffered, "refused access (403)"),
        (404, NotOffered, "does not know this address (404)"),
        (400, Rejected, "refused the request (400)"),
        (500, Transient, "failed (500)"),
        (503, Transient, "failed (503)"),
        (304, Rejected, "refused the request (304)"),
    ],
)
def test_statuses_become_our_errors(status: int, kind: type[HubError], words: str) -> None:
    said = (
        b""
        if status == 304
        else b'{"error":{"code":"X/1","message":{"lang":"en","value":"No luck\\u0007 today"}}}'
    )
    message = refused(kind, Reply(said, status))
    assert words in message
    assert status == 304 or message.endswith("The server says: X/1: No luck today")


def test_a_server_that_sends_the_credentials_back_does_not_get_them_into_a_message() -> None:
    packed = base64.b64encode(f"COMM_USER:{SECRET}".encode()).decode()
    for leak in (SECRET, packed, f"Basic {packed}", f"COMM_USER:{SECRET}"):
        body = f'{{"error":{{"code":"1","message":"got {leak}"}}}}'.encode()
        message = refused(Transient, Reply(body, 500))
        assert packed not in message
        assert "[hidden]" in message


def test_an_unauthorised_answer_is_asked_for_once_more() -> None:
    replies = iter([Reply(status=401), Reply(b"[]")])
    pauses: list[float] = []
    with (
        serving(lambda _p, _h: next(replies)) as server,
        session(server.url, SIGNED, sleep=pauses.append) as http,
    ):
        assert http.get(f"{server.url}/x", stream="s").body == b"[]"
    assert pauses == [1.0]
    with serving(lambda _p, _h: Reply(status=401)) as server, session(server.url, SIGNED) as http:
        with pytest.raises(Misconfigured):
            http.get(f"{server.url}/x", stream="s")
        assert len(server.asked) == 2


class Renewing(AuthBase):
    """Signs with the number of a token, which `renew` counts up."""

    def __init__(self) -> None:
        self.refused: list[str] = []

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["Authorization"] = f"Bearer {len(self.refused)}"
        return request

    def renew(self, request: PreparedRequest) -> bool:
        self.refused.append(str(request.headers["Authorization"]))
        return True


def test_what_signed_an_unauthorised_request_is_renewed_once() -> None:
    replies = iter([Reply(status=401), Reply(b"[]"), Reply(b"[]")])
    with serving(lambda _p, _h: next(replies)) as server, session(server.url, auth := Renewing()) as http:
        for _ in range(2):
            assert http.get(f"{server.url}/x", stream="s").body == b"[]"
        signed = [headers["authorization"] for _, headers in server.asked]
    assert (signed, auth.refused) == (["Bearer 0", "Bearer 1", "Bearer 1"], ["Bearer 0"])
    with (
        serving(lambda _p, _h: Reply(status=401)) as server,
        session(server.url, auth := Renewing()) as http,
    ):
        with pytest.raises(Misconfigured):
            http.get(f"{server.url}/x", stream="s")
        assert len(server.asked) == 2
    assert auth.refused == ["Bearer 0"]


def test_retry_after_is_honoured_for_seconds_and_given_on_beyond() -> None:
    pauses: list[float] = []
    replies = iter(
        [
            Reply(status=429, headers={"Retry-After": "3"}),
            Reply(status=503, headers={"Retry-After": "1"}),
            Reply(b"1"),
        ]
    )
    with serving(lambda _p, _h: next(replies)) as server, session(server.url, sleep=pauses.append) as http:
        assert http.get(f"{server.url}/x", stream="s").body == b"1"
    assert pauses == [3.0, 1.0]
    with pytest.raises(RateLimited) as limited:
        ask(Reply(status=429, headers={"Retry-After": "120"}))
    assert limited.value.retry_after == 120
    with pytest.raises(RateLimited) as limited:
        ask(Reply(status=429))
    assert limited.value.retry_after == 60


def test_retry_after_reads_seconds_and_dates() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert retry_after("Thu, 01 Jan 2026 00:00:07 GMT", now) == 7
    assert retry_after("Wed, 31 Dec 2025 00:00:00 GMT", now) == 0
    assert retry_after("12", now) == 12
    assert [retry_after(text, now) for text in ("soon", "", None, "-1", "1e9")] == [None] * 5


def test_a_web_page_is_a_sign_in_whatever_it_says_it_is() -> None:
    page = b"<!DOCTYPE html><html><form action='/saml2'></form></html>"
    for media_type in ("text/html; charset=utf-8", "application/json"):
        message = refused(Misconfigured, Reply(page, headers={"Content-Type": media_type}))
        assert "communication (technical) user" in message


def test_redirects_stay_at_the_origin() -> None:
    away = Reply(status=302, headers={"Location": "https://elsewhere.example/login?token=1"})
    message = refused(Misconfigured, away)
    assert "https://elsewhere.example/login" in message
    assert "token" not in message
    replies = iter([Reply(status=307, headers={"Location": "/y"}), Reply(b"2")])
    with serving(lambda _p, _h: next(replies)) as server, session(server.url, SIGNED) as http:
        assert http.get(f"{server.url}/x", stream="s").body == b"2"
        assert [path for path, _ in server.asked] == ["/x", "/y"]
        assert all("authorization" in headers for _, headers in server.asked)
    assert "more than 5 redirects" in refused(Rejected, Reply(status=302, headers={"Location": "/x"}))


def test_nothing_is_sent_to_another_origin() -> None:
    with serving(lambda _p, _h: Reply()) as other, session("http://127.0.0.1:1", SIGNED) as http:
        with pytest.raises(Rejected, match="nothing was sent there"):
            http.get(f"{other.url}/x", stream="s")
        assert other.asked == []


def test_unknown_host_closed_port_and_no_tls() -> None:
    with session("https://no-such-host.invalid") as http, pytest.raises(Misconfigured, match="is not known"):
        http.get("https://no-such-host.invalid/x", stream="s")
    with session("http://127.0.0.1:1") as http, pytest.raises(Transient, match="no connection"):
        http.get("http://127.0.0.1:1/x", stream="s")
    with serving(lambda _p, _h: Reply()) as server:
        secure = server.url.replace("http:", "https:")
        with session(secure) as http, pytest.raises(Misconfigured, match="no TLS at all"):
            http.get(f"{secure}/x", stream="s")


def test_an_answer_that_drips_ends_at_the_total_time() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def drip() -> None:
        while not stop.is_set():
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                for _ in itertools.takewhile(lambda _: not stop.is_set(), range(200)):
                    try:
                        connection.sendall(b" ")
                    except OSError:
                        break
                    time.sleep(0.02)

    thread = threading.Thread(target=drip)
    thread.start()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    try:
        with session(url, timeouts=(2.0, 2.0, 0.2)) as http, pytest.raises(Transient, match="did not finish"):
            http.get(f"{url}/x", stream="s")
    finally:
        stop.set()
        listening.close()
        thread.join()


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "fe80::1", "fd00:ec2::254", "100.100.100.200", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe",
     "0.0.0.0", "::", "224.0.0.1"],  # noqa: S104
)  # fmt: skip
def test_metadata_and_link_local_addresses_are_never_reached(address: str) -> None:
    everything = [ip_network("0.0.0.0/0"), ip_network("::/0")]
    with pytest.raises(Misconfigured, match="no connector may reach"):
        check("erp.example", ip_address(address), secure=True, allowed=everything)


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "127.0.0.1", "192.168.1.1", "::1", "fd12::1", "::ffff:10.0.0.1", "2002:a00:1::"]
)
def test_private_addresses_only_where_allowed(address: str) -> None:
    with pytest.raises(Misconfigured, match="ENCOURS_PRIVATE_NETWORKS"):
        check("erp.example", ip_address(address), secure=True, allowed=[ip_network("172.16.0.0/12")])


def test_plain_http_only_in_private_networks() -> None:
    public = ip_address("93.184.216.34")
    check("erp.example", public, secure=True, allowed=[])
    check("erp.example", ip_address("10.1.2.3"), secure=False, allowed=[ip_network("10.0.0.0/8")])
    with pytest.raises(Misconfigured, match="must begin with https"):
        check("erp.example", public, secure=False, allowed=[ip_network("0.0.0.0/0")])


def test_the_address_is_checked_when_connecting() -> None:
    with serving(lambda _p, _h: Reply()) as server, session(server.url, SIGNED, private_networks=()) as http:
        with pytest.raises(Misconfigured, match=r"127\.0\.0\.1, a private address"):
            http.get(f"{server.url}/x", stream="s")
        assert server.asked == []


def test_the_environment_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert ask(Reply(b"3")) == b"3"


def test_a_proxy_of_the_settings_is_used() -> None:
    with serving(lambda _p, _h: Reply(b"4")) as proxy, session("http://erp.example", proxy=proxy.url) as http:
        assert http.get("http://erp.example/x", stream="s").body == b"4"
        assert proxy.asked[0][0] == "http://erp.example/x"


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example",
        "https://u:p@a.example",
        "https://",
        "a.example",
        "https://a.example:x",
        "https://[::1",
        "https://a..example",
        f"https://{'a' * 64}.example",
    ],
)
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(Misconfigured) as refused_address:
        origin_of(url)
    assert "u:p" not in str(refused_address.value)


def test_origins_have_one_form() -> None:
    assert origin_of("https://A.example/x?y") == origin_of("https://a.example:443") == "https://a.example:443"
    assert origin_of("http://[::1]:8080/") == "http://[::1]:8080"
