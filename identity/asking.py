"""Asking a token provider over HTTP: one request, one bounded answer, and if none came, whether it was sent.

Follows no redirect and takes nothing from the environment: no proxy, no CA bundle, no .netrc. Refuses answers
over 256 KiB, also after decompression, and waits six seconds in total, however slowly the other side sends.
What an answer means is said in identity.answers.
"""

from __future__ import annotations

import contextlib
import io
import socket
import threading
import zlib
from collections.abc import Collection, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Final, TypedDict
from urllib.parse import urlencode

import requests
from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidSchema, InvalidURL
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import HTTPError, NameResolutionError
from urllib3.exceptions import TimeoutError as SlowError

from identity.errors import Denied, TryLater
from identity.ports import Sign, Transport
from identity.secret import Body, Secret
from identity.signing import origin, shown

CONNECT: Final = 2.0  # seconds to connect
READ: Final = 3.0  # seconds between two parts of an answer
TOTAL: Final = 6.0  # seconds for all of it
LONGEST: Final = 256 * 1024
CHUNK: Final = 64 * 1024
HEADERS: Final = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "Encours"}
FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Reply:
    """A complete answer: its status, its media type in lower case, its body, and which secrets were sent.

    `sent` is there to be hidden where an answer repeats them.
    """

    status: int
    media_type: str
    body: Body
    sent: tuple[Secret, ...] = ()


class Asking:
    """Asks over fresh transports, so that threads may share it.

    `ca_bundle` is a path; `client_certificate` the paths of a certificate and its key (RFC 8705); `proxy` an
    address. The methods raise TryLater with the code unreached where the request cannot have been processed
    (no connection, or it ended before the body left), with the code no_answer where it may have been, and
    Denied for an address or a certificate that cannot be used.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        ca_bundle: str | None = None,
        client_certificate: tuple[str, str] | None = None,
        proxy: str | None = None,
    ) -> None:
        self._transport = transport
        self._verify = ca_bundle or True
        self._certificate = client_certificate
        self._proxies = {"http": proxy, "https": proxy} if proxy else {}

    def post(
        self,
        url: str,
        form: Mapping[str, str | Secret],
        sign: Sign | None = None,
        secrets: Collection[Secret] = (),
    ) -> Reply:
        """The answer to a form; `sign` may add headers, and `secrets` are those that it adds."""
        # Without a length, requests would send it in chunks, which not every provider reads.
        outgoing = _Outgoing(form) if form else None
        headers = {**HEADERS, "Content-Type": FORM}
        sent = (*secrets, *(value for value in form.values() if isinstance(value, Secret)))
        return self._ask(requests.Request("POST", url, headers, data=outgoing, auth=sign), LONGEST, sent)

    def get(self, url: str, *, longest: int = LONGEST) -> Reply:
        """The answer to a GET, with no secret in it, of at most so many bytes."""
        return self._ask(requests.Request("GET", url, HEADERS), longest, ())

    def _ask(self, request: requests.Request, longest: int, sent: tuple[Secret, ...]) -> Reply:
        place = shown(origin("The token provider", request.url))
        outgoing = request.data if isinstance(request.data, _Outgoing) else None
        try:
            exchange = _Exchange(self._transport(), request.prepare(), self._options(), longest, sent)
            reply = exchange.within(TOTAL, outgoing)
        except (OSError, HTTPError, UnicodeError) as error:  # requests' own errors are OSErrors
            raise _failure(error, place, outgoing) from None
        if reply is None:
            raise TryLater(_code(outgoing), f"{place} did not answer in full within {TOTAL:.0f} s.")
        return reply

    def _options(self) -> _Options:
        return {
            "timeout": (CONNECT, READ),
            "verify": self._verify,
            "cert": self._certificate,
            "proxies": self._proxies,
        }


class _Options(TypedDict):
    """What requests' transports call these."""

    timeout: tuple[float, float]
    verify: bool | str
    cert: tuple[str, str] | None
    proxies: dict[str, str]


class _Outgoing(io.BytesIO):
    """A form on its way: knows whether any of it left, and can be told that it is too late to leave.

    Before it has left, no provider can have spent a refresh token.
    """

    def __init__(self, form: Mapping[str, str | Secret]) -> None:
        plain = {name: v.reveal() if isinstance(v, Secret) else v for name, v in form.items()}
        super().__init__(urlencode(plain).encode("ascii"))
        self._deciding = threading.Lock()
        self._too_late = False
        self.begun = False

    def read(self, size: int | None = -1, /) -> bytes:
        """The next part; raises TimeoutError if nobody waits for the answer any more."""
        with self._deciding:
            if self._too_late:
                raise TimeoutError
            self.begun = True
        return super().read(size)

    def give_up(self) -> None:
        """From now on nothing of it leaves."""
        with self._deciding:
            self._too_late = True


class _Exchange:
    """One request and its answer, in a thread of its own: looking up a name cannot be interrupted."""

    def __init__(
        self,
        transport: HTTPAdapter,
        request: PreparedRequest,
        options: _Options,
        longest: int,
        sent: tuple[Secret, ...],
    ) -> None:
        self._transport = transport
        self._request = request
        self._options = options
        self._longest = longest
        self._sent = sent
        self._connection: HTTPConnection | None = None
        self._too_late = threading.Event()

    def within(self, seconds: float, outgoing: _Outgoing | None) -> Reply | None:
        """The answer; None if it is not complete in time. Raises what the transport raises."""
        future: Future[Reply] = Future()
        try:
            threading.Thread(target=self._run, args=(future,), daemon=True).start()
            wait([future], seconds)
        finally:  # also if a signal ends it: a task's own time-out, an interrupt
            if not future.done():
                self._give_up(outgoing)
        return None if self._too_late.is_set() else future.result()

    def _give_up(self, outgoing: _Outgoing | None) -> None:
        self._too_late.set()
        if outgoing is not None:
            outgoing.give_up()
        self._cut()

    def _run(self, future: Future[Reply]) -> None:
        try:
            reply = self._reply()
        except BaseException as error:  # noqa: BLE001  # whoever waits for the answer raises it
            future.set_exception(error)
        else:
            future.set_result(reply)
        finally:
            self._transport.close()

    def _reply(self) -> Reply:
        options = self._options
        pool = self._transport.get_connection_with_tls_context(
            self._request, options["verify"], proxies=options["proxies"], cert=options["cert"]
        )
        if isinstance(pool, HTTPConnectionPool):
            # What was put back last is handed out first: this is the connection that will be used.
            connection = pool._get_conn()  # noqa: SLF001  # nothing public gives it before there is an answer
            pool._put_conn(connection)  # noqa: SLF001
            self._connection = connection if isinstance(connection, HTTPConnection) else None
        with self._transport.send(self._request, stream=True, **options) as response:
            media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            return Reply(response.status_code, media_type, self._body(response), self._sent)

    def _body(self, response: requests.Response) -> Body:
        packed = bytearray()
        while chunk := response.raw.read1(CHUNK, decode_content=False):
            packed += chunk
            if self._too_late.is_set() or len(packed) > self._longest:
                raise _TooLong
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding == "gzip":
            return Body(self._unpacked(bytes(packed)))
        if encoding not in ("identity", ""):
            raise _Damaged
        return Body(bytes(packed))

    def _unpacked(self, packed: bytes) -> bytes:
        inflate = zlib.decompressobj(wbits=31)
        try:
            body = inflate.decompress(packed, self._longest + 1)
        except zlib.error:
            raise _Damaged from None
        if len(body) > self._longest:
            raise _TooLong
        if not inflate.eof or inflate.unused_data:
            raise _Damaged
        return body

    def _cut(self) -> None:
        """Ends the connection under the thread that reads from it, so that it ends as well."""
        connection = self._connection
        used = None if connection is None else connection.sock
        if used is not None:
            with contextlib.suppress(OSError):  # it ended by itself
                used.shutdown(socket.SHUT_RDWR)


class _TooLong(HTTPError):
    pass


class _Damaged(HTTPError):
    pass


def _code(outgoing: _Outgoing | None) -> str:
    return "unreached" if outgoing is not None and not outgoing.begun else "no_answer"


def _failure(error: Exception, place: str, outgoing: _Outgoing | None) -> Denied | TryLater:
    """The error of a request that failed: Denied only if nothing of it has left."""
    if outgoing is None or not outgoing.begun:
        if isinstance(error, (InvalidURL, InvalidSchema, UnicodeError)):  # a name no resolver is asked for
            return Denied("invalid_address", f"{place} or its proxy is no address to connect to.")
        if isinstance(error, OSError) and not isinstance(error, requests.RequestException):
            words = error.strerror or str(error)
            return Denied("unreadable_certificate", f"What {place} is asked with cannot be read: {words}")
    return TryLater(_code(outgoing), f"{place} {_why(error)}")


def _why(error: Exception) -> str:
    """The failure in our words; the library's may hold addresses with passwords."""
    if isinstance(getattr(error.args[0], "reason", None) if error.args else None, NameResolutionError):
        return "was not found: its name does not resolve."
    words = (words for kinds, words in FAILURES if isinstance(error, kinds))
    return next(words, "refused the connection or broke it off.")


FAILURES: Final = (
    (_TooLong, "answered with more than an answer may have."),
    (_Damaged, "answered with what cannot be unpacked."),
    (
        requests.exceptions.SSLError,
        "failed in TLS. Check its certificate, the CA bundle and the client's own.",
    ),
    (requests.exceptions.ProxyError, "was not reached: the proxy failed or refused."),
    ((requests.Timeout, SlowError), "did not answer in time."),
)
