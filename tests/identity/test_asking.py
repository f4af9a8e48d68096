"""One request, one bounded answer: what is sent where, what never is, and whether it may have been received."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from encours.transport import transport
from identity import asking as module
from identity.answers import granted
from identity.asking import LONGEST, Asking
from identity.errors import Denied, TryLater
from identity.grants import Client
from identity.secret import Secret
from tests.identity.asked import asking, basic, grants, order, post
from tests.sandbox.certificates import Authority
from tests.sandbox.idp_client import Provider, two_free_ports
from tests.sandbox.idps import Idps

NONE: frozenset[str] = frozenset()
CANARY = "canary" + "-refresh"  # so that no traceback shows it as source text


@pytest.fixture(scope="module")
def running(idps: Idps) -> Provider:
    return idps("--profile", "forgiving")


def code_of(ask: Asking, url: str) -> str:
    with pytest.raises(TryLater) as refused:
        ask.post(url, {"refresh_token": Secret(CANARY)})
    assert CANARY not in "".join(traceback.format_exception(refused.value))
    return refused.value.code


def _request(connection: socket.socket) -> bytes:
    read = b""
    while part := connection.recv(65536):
        read += part
        head, found, body = read.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        if found and len(body) >= (int(length[1]) if length else 0):
            break
    return read


@contextmanager
def listening(answer: bytes = b"", *, pause: float = 0) -> Iterator[tuple[str, list[bytes]]]:
    """A server that takes one connection at a time, reads a request, and writes these bytes, each after a pause."""
    received: list[bytes] = []
    ended = threading.Event()

    def serve(server: socket.socket) -> None:
        while not ended.is_set():
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                received.append(_request(connection))
                for at in range(0, len(answer), 1 if pause else max(len(answer), 1)):
                    try:
                        connection.sendall(answer[at : at + 1] if pause else answer)
                    except OSError:
                        break
                    if ended.wait(pause):
                        break

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}", received
        finally:
            ended.set()
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


# Redirects


@pytest.mark.parametrize("status", [302, 307, 308])
def test_no_redirect_is_followed_and_no_secret_arrives_elsewhere(idp: Provider, status: int) -> None:
    for client in (basic(idp), post(idp)):
        order(idp, f"redirect_{status}")
        assert asking().post(*grants(idp, client).client_credentials(NONE)).status == status
        order(idp, f"redirect_{status}", endpoint="metadata")
        assert asking().get(f"{idp.issuer}/.well-known/openid-configuration").status == status
    assert len(idp.log()) == 2
    assert idp.log("trap") == []


# Nothing was sent


def test_a_name_that_is_not_found_is_unreached() -> None:
    assert code_of(asking(), "https://no-such-host.invalid/token") == "unreached"


def test_a_refused_connection_is_unreached(idp: Provider) -> None:
    idp.control("outage", {"kind": "refused"})
    assert code_of(asking(), idp.endpoints["token"]) == "unreached"
    assert idp.log() == []


def test_a_connection_that_nobody_accepts_is_unreached() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:  # fill the queue, so that the next one waits in vain
            one.setblocking(False)
            one.connect_ex(address)
        time.sleep(0.2)
        assert code_of(asking(), f"http://127.0.0.1:{address[1]}/token") == "unreached"
        for one in waiting:
            one.close()


def test_a_proxy_that_is_not_there_is_unreached(idp: Provider) -> None:
    proxy = f"http://127.0.0.1:{two_free_ports()}"
    assert code_of(asking(proxy=proxy), idp.endpoints["token"]) == "unreached"
    assert idp.log() == []


def test_no_tls_is_unreached(idp: Provider) -> None:
    address = idp.endpoints["token"].replace("http://", "https://")
    assert code_of(asking(), address) == "unreached"
    assert idp.log() == []


# Something may have been received


def test_silence_ends_after_the_reading_time(idp: Provider) -> None:
    idp.control("outage", {"kind": "silent"})
    assert code_of(asking(), idp.endpoints["token"]) == "no_answer"
    idp.control("outage", {})
    while not idp.log():  # it is logged when the outage ends
        time.sleep(0.01)
    assert [entry["outcome"] for entry in idp.log()] == ["outage silent"]


def test_a_connection_that_ends_after_the_request_is_no_answer() -> None:
    with listening() as (url, received):
        assert code_of(asking(), url) == "no_answer"
    assert b"POST / HTTP/1.1" in received[0]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 3000,  # the head never ends
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b" " * 3000,  # and here the body
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 600,
    ],
)
def test_however_slowly_an_answer_comes_it_ends_after_six_seconds(answer: bytes) -> None:
    with listening(answer, pause=0.05) as (url, _):
        known = threading.enumerate()
        begun = time.monotonic()
        assert code_of(asking(), url) == "no_answer"
        assert 5.9 < time.monotonic() - begun < 9
        # The thread that read is gone as well, although the server goes on.
        while [thread for thread in threading.enumerate() if thread not in known]:
            assert time.monotonic() - begun < 20
            time.sleep(0.05)


def test_what_is_given_up_does_not_leave_later(idp: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that answers after seven seconds: the request ends after six, and nothing is sent at all."""
    usual = socket.getaddrinfo
    resolved = threading.Event()

    def slow(*arguments: object, **options: object) -> object:
        time.sleep(7)
        resolved.set()
        return usual(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    before = threading.active_count()
    assert code_of(asking(), idp.endpoints["token"]) == "unreached"
    assert not resolved.is_set()
    while threading.active_count() > before:
        time.sleep(0.05)
    monkeypatch.undo()
    assert resolved.is_set()
    assert [entry["endpoint"] for entry in idp.control(f"log?since={idp.since}")["requests"]] == []


class Interrupted(Exception):
    pass


def test_what_a_signal_ends_does_not_leave_later(idps: Idps, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Airflow ends a task whose time is over; at a provider that nobody else has asked."""
    idp = idps()
    usual, waiting, go_on = socket.getaddrinfo, threading.Event(), threading.Event()

    def slow(*arguments: object, **options: object) -> object:
        waiting.set()
        go_on.wait(30)
        return usual(*arguments, **options)  # type: ignore[arg-type]

    def interrupt(_number: int, _frame: object) -> None:
        raise Interrupted

    def send() -> None:
        waiting.wait(30)
        os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, interrupt)
    monkeypatch.setattr(socket, "getaddrinfo", slow)
    known = threading.enumerate()
    threading.Thread(target=send).start()
    with pytest.raises(Interrupted):
        asking().post(idp.endpoints["token"], {"a": "b"})
    signal.signal(signal.SIGUSR1, before)
    go_on.set()
    while [thread for thread in threading.enumerate() if thread not in known]:
        time.sleep(0.05)
    monkeypatch.undo()
    assert [entry["outcome"] for entry in idp.log()] == []


def test_the_provider_dies_after_it_was_asked(idps: Idps) -> None:
    idp = idps()
    order(idp, "die")
    assert code_of(asking(), idp.endpoints["token"]) == "no_answer"
    process, _ = idps.running[-1]
    assert process.wait(timeout=30) == -9


@pytest.mark.parametrize("length", [LONGEST, LONGEST + 1])
def test_the_longest_answer_is_taken_and_no_longer_one(length: int) -> None:
    body = b" " * length
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (length, body)
    with listening(answer) as (url, _):
        if length > LONGEST:
            assert code_of(asking(), url) == "no_answer"
        else:
            assert asking().post(url, {}).body.reveal() == body


# What is sent, and what is not


def test_a_request_holds_what_it_needs_and_nothing_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login canary password canary\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    with listening(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: a=b\r\n\r\n") as (url, received):
        ask = asking()
        ask.post(url, {"a": "ü&=", "b": Secret("+%")})
        ask.post(url, {"a": "1"})
    head, _, body = received[0].partition(b"\r\n\r\n")
    assert body == b"a=%C3%BC%26%3D&b=%2B%25"
    names = {line.partition(b":")[0].lower() for line in head.split(b"\r\n")[1:]}
    assert names == {
        b"host",
        b"accept",
        b"accept-encoding",
        b"content-type",
        b"content-length",
        b"user-agent",
    }
    assert b"cookie" not in received[1].lower()


def test_a_proxy_is_used_where_one_is_named(idp: Provider) -> None:
    with listening(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as (proxy, received):
        assert asking(proxy=proxy).post("http://127.0.0.1:9/token", {"a": "b"}).status == 200
    assert received[0].startswith(b"POST http://127.0.0.1:9/token HTTP/1.1")


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://169.254.169.254/token", "address_refused"),
        ("https://169.254.169.254/token", "address_refused"),
        ("http://10.1.2.3/token", "address_refused"),
        ("https://[fd00:ec2::254]/token", "address_refused"),
        ("ftp://127.0.0.1/token", "invalid_address"),
        ("https://user:canary@127.0.0.1/token", "invalid_address"),
        ("https:///token", "invalid_address"),
        ("https://127.0.0.1:x/token", "invalid_address"),
        ("https://a..b/token", "invalid_address"),
    ],
)
def test_an_address_is_refused(url: str, code: str) -> None:
    with pytest.raises(Denied) as refused:
        asking().post(url, {"a": "b"})
    assert refused.value.code == code
    assert "canary" not in str(refused.value)
    with pytest.raises(Denied):
        asking().get(url)


def test_a_proxy_that_is_no_address_is_refused(idp: Provider) -> None:
    for proxy in ("http://:80", "nonsense://127.0.0.1:1"):
        with pytest.raises((Denied, TryLater)) as refused:
            asking(proxy=proxy).post(idp.endpoints["token"], {"a": "b"})
        assert refused.value.code in ("invalid_address", "unreached")
    assert idp.log() == []


def test_the_private_networks_must_be_listed(idp: Provider) -> None:
    with pytest.raises(Denied, match="ENCOURS_PRIVATE_NETWORKS") as refused:
        Asking(transport([])).post(idp.endpoints["token"], {})
    assert refused.value.code == "address_refused"
    assert idp.log() == []


def test_secrets_are_not_shown(idp: Provider) -> None:
    ask = grants(idp, post(idp)).refresh(Secret("canary-refresh"))
    reply = asking().post(*ask)
    shown = f"{ask!r} {reply!r}"
    assert "canary-refresh" not in shown
    assert idp.clients["encours-post"]["secret"] not in shown
    assert "invalid_grant" not in shown


# Certificates


@pytest.fixture
def secured(idps: Idps, tmp_path: Path) -> tuple[Provider, Authority]:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("server")
    given = ("--tls", str(certificate), str(key), "--client-ca", str(authority.certificate))
    idp = idps(*given)
    subject = "CN=encours,O=Acme"
    wish = {
        "client_id": "by-certificate",
        "token_endpoint_auth_method": "tls_client_auth",
        "tls_client_auth_subject_dn": subject,
    }
    idp.control("clients", wish)
    return idp, authority


def test_a_client_signs_in_by_certificate(secured: tuple[Provider, Authority]) -> None:
    idp, authority = secured
    certificate, key = authority.issue("encours")
    bundle = str(authority.certificate)
    ask = grants(idp, Client("by-certificate", "tls_client_auth")).client_credentials(NONE)
    signed = asking(ca_bundle=bundle, client_certificate=(str(certificate), str(key)))
    assert granted(signed.post(*ask), None).expires_in == 3600
    with pytest.raises(Denied, match="invalid_client"):
        granted(asking(ca_bundle=bundle).post(*ask), None)
    assert code_of(asking(), idp.endpoints["token"]) == "unreached"  # an authority that nobody named
    assert len(idp.log()) == 2
    for options in (
        {"ca_bundle": "/nowhere"},
        {"ca_bundle": bundle, "client_certificate": ("/no", "/where")},
    ):
        with pytest.raises(Denied) as refused:
            asking(**options).post(*ask)
        assert refused.value.code == "unreadable_certificate"


def test_threads_may_share_it(idp: Provider) -> None:
    ask = asking()
    tokens: list[str] = []

    def one() -> None:
        found = granted(ask.post(*grants(idp).client_credentials(NONE)), None)
        tokens.append(found.access.reveal())

    threads = [threading.Thread(target=one) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(tokens)) == 10
    assert json.dumps([entry["outcome"] for entry in idp.log()]) == json.dumps(["issued"] * 10)


def test_the_limits_are_those_of_the_design() -> None:
    assert (module.CONNECT, module.READ, module.TOTAL, LONGEST) == (2, 3, 6, 256 * 1024)
