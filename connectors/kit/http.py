"""One connector's HTTP session: signed requests to one origin, bounded answers, each failure our error.

Refuses other origins, redirects that leave the origin, any redirect of a POST, bodies over 32 MiB (also after
decompression), gzip that grows more than 200 times, and HTML in place of data. Takes nothing from the
environment: proxy, CA bundle and client certificate come from the connector's settings.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self, TypeVar
from urllib.parse import urljoin

import requests
from isal import isal_zlib
from urllib3.exceptions import HTTPError

from connectors.kit.addresses import CheckedAdapter, Network, origin_of
from connectors.kit.failures import Unauthorised, clean, failure, redacted, refusal, retry_after, shown
from receivables.errors import Misconfigured, RateLimited, Rejected, Transient

MAX_BODY: Final = 32 * 1024 * 1024
MAX_RATIO: Final = 200
SMALL: Final = 64 * 1024  # a ratio says nothing about a body this small
TRUSTED: Final = 8 * MAX_BODY // 1032  # DEFLATE grows 1032 times at most: a trailer that lies costs 256 MiB
CHUNK: Final = 256 * 1024
MAX_REDIRECTS: Final = 5
ATTEMPTS: Final = 3
LONGEST_PAUSE: Final = 8.0  # seconds waited here; beyond that the scheduler's retry waits
TIMEOUTS: Final = (10.0, 120.0, 600.0)
FIRST_NO_ANSWER: Final = 300  # RFC 9110: statuses from here on bring no data


@dataclass(frozen=True)
class Answer:
    """A complete answer with a 2xx status: its body after decompression."""

    url: str
    status: int
    media_type: str  # in lower case, without parameters
    body: bytes


Value = TypeVar("Value")
Says = Callable[[bytes], str]
Sign = Callable[[requests.PreparedRequest], requests.PreparedRequest]


@dataclass(frozen=True)
class Post:
    """What is sent by POST, and how its answer is to be read.

    `readable` are statuses of 300 and up whose body says more than the status: they are answers. `expired`
    tells an answer that says that the session has ended: it counts as 401. `sign` signs instead of the
    session's own auth.
    """

    body: bytes
    media_type: str
    readable: Container[int] = ()
    expired: Callable[[bytes], bool] | None = None
    sign: Sign | None = None


class Session:
    """Signed requests of one connector; messages name the connector and the stream, and hold no secret.

    `origin` is scheme://host[:port]; `private_networks` are the private ranges that may be reached;
    `timeouts` are seconds to connect, between two parts of an answer, and for a whole answer. `attempts` is
    how often a request is tried; at its first 401 the auth's `renew`, if it has one, is called with it.
    `sleep` and `jitter` (0 to 1) are the pauses between tries. All methods raise Misconfigured (address,
    certificate, credentials, rights), Transient, RateLimited and Rejected.
    """

    def __init__(
        self,
        *,
        connector: str,
        origin: str,
        auth: Sign | None,
        private_networks: Sequence[Network] = (),
        ca_bundle: str | None = None,
        client_certificate: str | None = None,
        proxy: str | None = None,
        timeouts: tuple[float, float, float] = TIMEOUTS,
        attempts: int = ATTEMPTS,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.connector = connector
        self.origin = origin_of(origin)
        self._connect_read, self._total = timeouts[:2], timeouts[2]
        self._attempts, self._sleep, self._jitter = attempts, sleep, jitter
        self._remembered: dict[str, Any] = {}
        self._http = requests.Session()
        self._http.trust_env = False
        self._http.auth = auth
        self._http.verify = ca_bundle or True
        self._http.cert = client_certificate
        self._http.headers["Accept-Encoding"] = "gzip"
        self._http.proxies = {"http": proxy, "https": proxy} if proxy else {}
        for scheme in ("http://", "https://"):
            self._http.mount(scheme, CheckedAdapter(private_networks, max_retries=0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(
        self,
        url: str,
        *,
        stream: str,
        accept: str = "application/json",
        language: str = "en",
        says: Says | None = None,
    ) -> Answer:
        """The answer to one GET, tried up to three times; `says` reads the server's words from an error."""
        headers = {"Accept": accept, "Accept-Language": language}
        return self._tried(_Request(url, f"{self.connector}, {stream}", headers, says))

    def post(self, url: str, post: Post, *, stream: str, says: Says | None = None) -> Answer:
        """The answer to one POST that changes nothing at the other side, tried like a GET."""
        headers = {"Accept": post.media_type, "Content-Type": post.media_type}
        return self._tried(_Request(url, f"{self.connector}, {stream}", headers, says, post))

    def _tried(self, request: _Request) -> Answer:
        if origin_of(request.url) != self.origin:
            raise Rejected(
                f"{request.place}: {shown(request.url)} is not below {self.origin}; nothing was sent there."
            )
        refused = False
        for attempt in range(1, self._attempts):
            try:
                return self._ask(request)
            except Unauthorised as error:
                if refused:
                    raise Misconfigured(str(error)) from None
                refused = True  # an ERP under load answers 401 to the right password
                self._renew(error.request)
                self._sleep(1 + self._jitter())
            except RateLimited as error:
                if error.retry_after > LONGEST_PAUSE:
                    raise
                self._sleep(error.retry_after + self._jitter())
            except Transient:
                self._sleep(2.0 ** (attempt - 1) * (0.5 + self._jitter()))
        try:
            return self._ask(request)
        except Unauthorised as error:
            raise Misconfigured(str(error)) from None

    def once(self, url: str, *, stream: str, accept: str, language: str, says: Says) -> bytes:
        """The body of an answer that does not change during a session: asked for once, then remembered."""
        return self.remember(
            url, lambda: self.get(url, stream=stream, accept=accept, language=language, says=says).body
        )

    def remember(self, name: str, make: Callable[[], Value]) -> Value:
        """What was made under this name in this session, made now if it was not."""
        if name not in self._remembered:
            self._remembered[name] = make()
        found: Value = self._remembered[name]
        return found

    def reach(self, *, stream: str) -> None:
        """Connects, unsigned, and completes a TLS handshake; what the server answers is not looked at."""
        try:
            self._http.get(
                self.origin, auth=_unsigned, stream=True, allow_redirects=False, timeout=self._connect_read
            ).close()
        except requests.RequestException as error:
            raise failure(error, place=f"{self.connector}, {stream}", origin=self.origin) from error

    def _ask(self, request: _Request) -> Answer:
        url, place = request.url, request.place
        deadline = time.monotonic() + self._total
        for _ in range(MAX_REDIRECTS + 1):
            try:
                with self._sent(url, request) as response:
                    if not response.is_redirect:
                        body = self._body(response, place, deadline)
                        return self._judged(response, body, request)
                    if request.post:
                        raise Misconfigured(
                            f"{place}: {self.origin} redirects to {shown(response.headers['location'])}. "
                            "Use that address if it is right; nothing was sent there."
                        )
                    url = self._followed(url, response.headers["location"], place)
            except (requests.RequestException, HTTPError) as error:
                raise failure(error, place=place, origin=self.origin) from error
        raise Rejected(f"{place}: more than {MAX_REDIRECTS} redirects from {self.origin}. Check the address.")

    def _sent(self, url: str, request: _Request) -> requests.Response:
        post = request.post
        return self._http.request(
            "POST" if post else "GET",
            url,
            data=post.body if post else None,
            headers=request.headers,
            auth=post.sign if post else None,
            stream=True,
            allow_redirects=False,
            timeout=self._connect_read,
        )

    def _followed(self, url: str, location: str, place: str) -> str:
        target = urljoin(url, location)
        if origin_of(target) != self.origin:
            raise Misconfigured(
                f"{place}: {self.origin} redirects to {shown(target)}. Requests stay at the connector's own "
                "origin; if the service has moved, change the connector's address."
            )
        return target

    def _body(self, response: requests.Response, place: str, deadline: float) -> bytes:
        packed = bytearray()
        while chunk := response.raw.read1(CHUNK, decode_content=False):
            packed += chunk
            if len(packed) > MAX_BODY:
                raise Rejected(
                    f"{place}: an answer is larger than {MAX_BODY >> 20} MiB. Lower the page size."
                )
            if time.monotonic() > deadline:
                raise Transient(f"{place}: {self.origin} did not finish its answer in {self._total:.0f} s.")
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding in ("identity", ""):
            return bytes(packed)
        if encoding not in ("gzip", "x-gzip"):
            raise Rejected(f"{place}: the answer is packed as {encoding[:20]!r}; only gzip was asked for.")
        return unpacked(bytes(packed), place)

    def _judged(self, response: requests.Response, body: bytes, request: _Request) -> Answer:
        status, place, post = response.status_code, request.place, request.post
        media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        page = media_type in ("text/html", "application/xhtml+xml") or WEB_PAGE.match(body)
        readable = post is not None and status in post.readable and not page
        if status >= FIRST_NO_ANSWER and not readable:
            words = clean(redacted(request.says(body), response.request)) if request.says else ""
            pause = retry_after(response.headers.get("retry-after"), datetime.now(UTC))
            refused = refusal(status, place=place, origin=self.origin, words=words, pause=pause)
            if isinstance(refused, Unauthorised):
                refused.request = response.request
            raise refused
        if page:
            raise Misconfigured(
                f"{place}: {self.origin} answered with a web page instead of data, as for a sign-in. Use a "
                "communication (technical) user, not a dialog user, and check the address."
            )
        if post and post.expired and post.expired(body):
            ended = Unauthorised(
                f"{place}: {self.origin} ended the session again, right after a new sign-in."
            )
            ended.request = response.request
            raise ended
        return Answer(response.url, status, media_type, body)

    def _renew(self, refused: requests.PreparedRequest | None) -> None:
        renew = getattr(self._http.auth, "renew", None)
        if renew is not None:
            renew(refused)


@dataclass(frozen=True)
class _Request:
    """One request as it is tried: where, the place for messages, and what is sent if it is a POST."""

    url: str
    place: str
    headers: Mapping[str, str]
    says: Says | None
    post: Post | None = None


WEB_PAGE: Final = re.compile(rb"\s*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)


def unpacked(packed: bytes, place: str) -> bytes:
    """The gzip body inflated; raises Rejected beyond the limits, Transient when it is cut off."""
    if not packed.startswith(b"\x1f\x8b"):
        raise Rejected(f"{place}: the answer says it is gzip and is not.")
    limit = min(MAX_BODY, max(SMALL, len(packed) * MAX_RATIO))
    said = int.from_bytes(packed[-4:], "little")  # RFC 1952: the trailer tells the size of what was packed
    if said <= limit and len(packed) <= TRUSTED:
        try:
            body = isal_zlib.decompress(packed, wbits=31, bufsize=said + 1)
        except isal_zlib.IsalError:  # type: ignore[misc]  # its stub has no base class
            body = b""
        if len(body) == said > 0:
            return bytes(body)
    return _unpacked_slowly(packed, limit, place)


def _unpacked_slowly(packed: bytes, limit: int, place: str) -> bytes:
    """The same in growing pieces, which never pass the limit whatever the trailer says."""
    inflate = isal_zlib.decompressobj(wbits=31)
    try:
        body = inflate.decompress(packed, limit + 1)
    except isal_zlib.IsalError:  # type: ignore[misc]  # its stub has no base class
        raise Rejected(f"{place}: the answer is damaged gzip.") from None
    if len(body) > limit:
        raise Rejected(f"{place}: an answer unpacks to more than {limit} bytes. Lower the page size.")
    if not inflate.eof:
        raise Transient(f"{place}: the packed answer broke off in the middle.")
    if inflate.unused_data:
        raise Rejected(f"{place}: bytes follow the end of the packed answer.")
    return bytes(body)


def _unsigned(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
