"""Sessions at Intacct over real HTTP: filled bodies, one sign-in, one renewal, the wrong pair named, no secret shown."""

from __future__ import annotations

import re
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import UUID

import pytest
import requests
from lxml import etree

from identity.authority import Authority
from identity.errors import Denied, IdentityError, TryLater
from identity.intacct import LOGIN, IntacctAuth
from identity.kinds import IntacctLogin
from identity.ports import Sign
from identity.secret import Secret

USER_SECRET, SENDER_SECRET, SESSION = "canary-user-1 & <x>", "canary-sender-2", "canary-session"
EMPTY = (
    b"<request><control><senderid/><password/><controlid>c</controlid></control>"
    b'<operation transaction="false"><authentication/><content>\xc3\xa9</content></operation></request>'
)


@dataclass(frozen=True)
class Link:
    origin: str
    credential_id: UUID | None
    tenant_id: int = 1
    key: str = "acme-intacct"


@dataclass
class Gateway:
    """Signs in with session ids 1, 2, ...; keeps all bodies; `answers` replace what it says to a sign-in."""

    url: str = ""
    endpoint: str = ""
    lifetime: str = "<sessiontimeout>2026-11-24T14:00:00+00:00</sessiontimeout>"
    bodies: list[str] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)

    @property
    def logins(self) -> int:
        return sum("getAPISession" in body for body in self.bodies)

    def answer(self, body: str) -> bytes:
        if "getAPISession" not in body:
            return b"<data/>"
        if self.answers:
            return self.answers.pop(0)
        return (
            "<response><control><status>success</status></control><operation><authentication>"
            "<status>success</status><sessiontimestamp>2026-11-24T12:00:00+00:00</sessiontimestamp>"
            f"{self.lifetime}</authentication><result><status>success</status><function>getSession</function>"
            f"<data><api><sessionid>{SESSION}-{self.logins}</sessionid><endpoint>{self.endpoint}</endpoint>"
            "<locationid/></api></data></result></operation></response>"
        ).encode()


@contextmanager
def serving(gateway: Gateway) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            gateway.bodies.append(body)
            answer = gateway.answer(body)
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_port}"
        finally:
            http.shutdown()
            thread.join()


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    made = Gateway()
    with serving(made) as url:
        made.url, made.endpoint = url, f"{url}/endpoint"
        yield made


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as opened:
        opened.trust_env = False
        yield opened


Lend = Callable[..., IntacctAuth]


@pytest.fixture
def lend(authority: Authority, gateway: Gateway, session: requests.Session) -> Lend:
    content = IntacctLogin("ann", Secret(USER_SECRET), "ACME", "encours", Secret(SENDER_SECRET))
    credential = authority.credentials.create(1, content, label="acme", by="test")

    def exchange(url: str, body: bytes, sign: Sign) -> bytes:
        return session.post(url, body, auth=sign, timeout=5, allow_redirects=False).content

    def lent(**options: object) -> IntacctAuth:
        chosen = {"endpoints": ["127.0.0.1"], "exchange": exchange, **options}
        auth = authority.auth(Link(gateway.url, credential), **chosen)  # type: ignore[arg-type]
        assert isinstance(auth, IntacctAuth)
        return auth

    return lent


def post(session: requests.Session, gateway: Gateway, auth: IntacctAuth) -> requests.Response:
    return session.post(f"{gateway.url}/gateway", EMPTY, auth=auth, timeout=5)


def texts(body: str) -> dict[str, str]:
    tree = etree.fromstring(body.encode())
    return {str(e.tag): e.text or "" for e in tree.iter() if len(e) == 0}


def test_secrets_stand_in_their_places_and_the_endpoint_is_used(
    lend: Lend, gateway: Gateway, session: requests.Session
) -> None:
    auth = lend()
    answers = [post(session, gateway, auth) for _ in range(3)]
    assert [answer.url for answer in answers] == [gateway.endpoint] * 3
    login, first, *_ = gateway.bodies
    assert gateway.logins == 1
    said = texts(login)
    assert (said["senderid"], said["userid"], said["companyid"]) == ("encours", "ann", "ACME")
    tree = etree.fromstring(login.encode())
    assert tree.findtext("control/password") == SENDER_SECRET
    assert tree.findtext("operation/authentication/login/password") == USER_SECRET
    assert [e.tag for e in tree.findall("operation/authentication/login/*")] == [
        "userid",
        "companyid",
        "password",
    ]
    assert texts(first)["sessionid"] == f"{SESSION}-1"
    assert texts(first)["content"] == "é"
    assert USER_SECRET not in first
    assert auth.uses == 4, "every signed request is counted, the sign-in too"


def test_a_session_that_has_ended_is_renewed_once(
    lend: Lend, gateway: Gateway, session: requests.Session
) -> None:
    auth = lend()
    refused = [post(session, gateway, auth).request for _ in range(2)]
    for request in refused:  # two requests in flight hear of the same end
        assert auth.renew(request)
        post(session, gateway, auth)
    assert gateway.logins == 2
    assert texts(gateway.bodies[-1])["sessionid"] == f"{SESSION}-2"


def test_threads_share_one_sign_in(lend: Lend, gateway: Gateway) -> None:
    auth = lend()

    def one(_: int) -> int:
        with requests.Session() as own:
            own.trust_env = False
            return post(own, gateway, auth).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(one, range(16))) == {200}
    assert gateway.logins == 1
    assert auth.uses == 17


@pytest.mark.parametrize(
    ("lifetime", "pause", "logins"),
    [
        ("<sessiontimeout>2026-11-24T14:00:00+00:00</sessiontimeout>", timedelta(minutes=114), 1),
        ("<sessiontimeout>2026-11-24T14:00:00+00:00</sessiontimeout>", timedelta(minutes=116), 2),
        ("", timedelta(days=2), 1),
        ("<sessiontimestamp>2026-11-24T12:00:00+00:00</sessiontimestamp>", timedelta(days=2), 1),
        ("<sessiontimeout>soon</sessiontimeout>", timedelta(days=2), 1),
    ],
)
def test_a_session_slides_and_is_left_five_minutes_before_its_end(  # noqa: PLR0917
    authority: Authority,
    lend: Lend,
    gateway: Gateway,
    session: requests.Session,
    lifetime: str,
    pause: timedelta,
    logins: int,
) -> None:
    now = [datetime(2026, 11, 24, 12, tzinfo=UTC)]
    authority._clock = lambda: now[0]  # noqa: SLF001  a clock that the test moves
    gateway.lifetime = lifetime
    auth = lend()
    post(session, gateway, auth)
    now[0] += pause / 2
    post(session, gateway, auth)
    now[0] += pause
    post(session, gateway, auth)
    assert gateway.logins == logins


def refusal(level: str, text: str, code: str = "XL03000006", correction: str = "") -> bytes:
    error = (
        f"<errormessage><error><errorno>{code}</errorno><description/><description2>{text}</description2>"
        f"<correction>{correction}</correction></error></errormessage>"
    )
    control = "failure" if level == "control" else "success"
    operation = {
        "control": "",
        "authentication": f"<operation><authentication><status>failure</status></authentication>{error}</operation>",
        "result": "<operation><authentication><status>success</status></authentication><result>"
        f"<status>failure</status>{error}</result></operation>",
    }[level]
    return (
        f"<response><control><status>{control}</status></control>{operation}{error if level == 'control' else ''}"
        "</response>"
    ).encode()


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (refusal("control", "Incorrect Intacct XML Partner ID or password"), Denied, "sender id encours"),
        (refusal("authentication", "Sign-in information is incorrect"), Denied, "user ann of company ACME"),
        (refusal("authentication", "sender ID encours is not authorized"), Denied, "not authorized"),
        (refusal("result", "no"), Denied, "the sign-in failed"),
        (refusal("result", "busy", correction="Please Try Again Later"), TryLater, "try again later"),
        (
            b"<response><acknowledgement/><control><status>success</status></control></response>",
            Denied,
            "later",
        ),
        (b"<response><control><status>success</status></control></response>", TryLater, "did not answer"),
        (b"", TryLater, "no XML"),
        (b"<!DOCTYPE r [<!ENTITY a 'b'>]><r>&a;</r>", Denied, "DOCTYPE"),
        (b"x" * 300_000, Denied, "too long"),
        (
            refusal("authentication", f"{SENDER_SECRET} {USER_SECRET.split(maxsplit=1)[0]}"),
            Denied,
            "[hidden]",
        ),
    ],
)
def test_a_refused_sign_in_names_what_is_wrong(  # noqa: PLR0917
    lend: Lend,
    gateway: Gateway,
    session: requests.Session,
    answer: bytes,
    kind: type[IdentityError],
    says: str,
) -> None:
    gateway.answers = [answer]
    with pytest.raises(kind, match=re.escape(says)) as raised:
        post(session, gateway, lend())
    assert "acme-intacct" in str(raised.value)
    assert SENDER_SECRET not in str(raised.value)
    assert len(gateway.bodies) == 1, "nothing is tried again here"


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://evil.example/x", "http://api.intacct.com/x", "https://intacct.com.evil.example/", "ftp://x.intacct.com",
        "https://evilintacct.com/x", "https://a@x.intacct.com/", "", "http://127.0.0.2/x",
    ],
)  # fmt: skip
def test_a_foreign_endpoint_is_refused(
    lend: Lend, gateway: Gateway, session: requests.Session, endpoint: str
) -> None:
    gateway.endpoint = endpoint
    with pytest.raises(Denied):
        post(session, gateway, lend())
    assert gateway.logins == len(gateway.bodies) == 1


def test_an_endpoint_below_intacct_is_taken(lend: Lend, gateway: Gateway) -> None:
    gateway.endpoint = "https://www-p02.intacct.com/ia/xml/xmlgw.phtml"
    prepared = requests.Request("POST", f"{gateway.url}/g", data=EMPTY, auth=lend(endpoints=())).prepare()
    assert prepared.url == gateway.endpoint


def test_other_origins_and_other_bodies_are_not_signed(lend: Lend, gateway: Gateway) -> None:
    auth = lend()
    with pytest.raises(Denied, match="signs requests of"):
        auth(requests.Request("POST", "https://evil.example/", data=EMPTY).prepare())
    assert gateway.bodies == []
    for body in (b"<request/>", EMPTY.replace(b"<senderid/>", b"<senderid>x</senderid>"), b"{}"):
        with pytest.raises(IdentityError):
            auth(requests.Request("POST", f"{gateway.url}/g", data=body).prepare())
    assert set(map(len, gateway.bodies)) == {len(gateway.bodies[0])}, "only the sign-in was sent"


def test_the_company_and_the_way_to_sign_in_are_asked_for(lend: Lend) -> None:
    assert lend(company="ACME")
    with pytest.raises(Denied, match="company BETA"):
        lend(company="BETA")
    with pytest.raises(Denied, match="way to log in"):
        lend(exchange=None)


def test_both_passwords_are_sealed_apart_and_described_without(authority: Authority) -> None:
    content = IntacctLogin("ann", Secret("p-1"), "ACME", "encours", Secret("p-2"))
    made = authority.credentials.create(1, content, label="a", by="test")
    described = authority.credentials.describe(1, made)
    assert (described.kind, described.subject, described.company, described.sender) == (
        "intacct", "ann", "ACME", "encours",
    )  # fmt: skip
    assert authority.credentials.opened(1, made) == content
    assert "p-1" not in repr(described) + repr(content)
    assert "p-2" not in repr(described) + repr(content)


@pytest.mark.parametrize(
    "part",
    [
        {"subject": ""},
        {"company": "a\n"},
        {"sender": " x"},
        {"secret": Secret("")},
        {"sender_secret": Secret("a\n")},
    ],
)
def test_what_cannot_be_sent_is_refused(part: dict[str, object]) -> None:
    whole: dict[str, object] = {
        "subject": "ann", "secret": Secret("p"), "company": "A", "sender": "s", "sender_secret": Secret("q"), **part,
    }  # fmt: skip
    with pytest.raises(Denied):
        IntacctLogin(**whole)  # type: ignore[arg-type]


def test_secrets_are_shown_nowhere(
    lend: Lend,
    gateway: Gateway,
    session: requests.Session,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level("DEBUG")
    auth = lend()
    shown = [repr(auth), repr(vars(auth)), repr(post(session, gateway, auth))]
    shown += [repr(vars(auth)), repr(auth._session)]  # noqa: SLF001  what a debugger would show
    auth.renew(post(session, gateway, auth).request)
    gateway.endpoint = "https://evil.example/"
    gateway.answers = [
        refusal("authentication", "no"),
        refusal("control", SENDER_SECRET),
        b"<" + SESSION.encode(),
    ]
    for _ in range(4):
        with pytest.raises(IdentityError) as raised:
            post(session, gateway, auth)
        told = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
        told.stack = traceback.StackSummary.from_list(
            [one for one in told.stack if "/identity/" in one.filename and one.filename != __file__]
        )
        shown += [*told.format(), repr(raised.value.args)]
    text = "\n".join([*shown, caplog.text, *capfd.readouterr()])
    assert len(shown) > 8
    for canary in (SENDER_SECRET, USER_SECRET.split(maxsplit=1)[0], SESSION):
        assert canary not in text


def test_a_sign_in_is_asked_for_alone() -> None:
    (function,) = etree.fromstring(LOGIN).findall("operation/content/function")
    assert [child.tag for child in function] == ["getAPISession"]
