"""What a failed exchange means: statuses and broken connections as our errors, in words that hold no secret.

The libraries' own texts are looked at and never repeated: they may hold addresses with passwords.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from html import unescape
from typing import Final

import requests
from urllib3.exceptions import HTTPError, NameResolutionError
from urllib3.exceptions import TimeoutError as SlowError

from receivables.errors import HubError, Misconfigured, RateLimited, Rejected, Transient

MAX_TEXT: Final = 300
DEFAULT_PAUSE: Final = 60.0  # seconds, where a server asks to wait and does not say how long
SERVER_FAULT: Final = 500
TOO_MANY: Final = 429
UNAVAILABLE: Final = 503
UNSECRET: Final = {"accept", "accept-encoding", "accept-language", "connection", "user-agent"}


class NotOffered(Misconfigured):
    """403 or 404: the user may not call this service, or it is not there."""


class Unauthorised(Transient):
    """401: worth one more try, then the credential is blamed; `request` is the one that was refused."""

    request: requests.PreparedRequest | None = None


STATUSES: Final[dict[int, tuple[type[HubError], str]]] = {
    401: (
        Unauthorised,
        "refused the connector's credential (401). Replace it, or unlock its user or client.",
    ),
    403: (
        NotOffered,
        "refused access (403). Give the user the service's authorisation, or activate the service.",
    ),
    404: (NotOffered, "does not know this address (404). Check the address, or activate the service."),
    408: (Transient, "asked to try again (408)."),
    425: (Transient, "asked to try again (425)."),
}


def refusal(status: int, *, place: str, origin: str, words: str, pause: float | None) -> HubError:
    """The error for a status of 300 and up; `words` are the server's, `pause` its Retry-After."""
    said = f" The server says: {words}" if words else ""
    if status == TOO_MANY or (status == UNAVAILABLE and pause is not None):
        wait = DEFAULT_PAUSE if pause is None else pause
        return RateLimited(f"{place}: {origin} asks to wait {wait:.0f} s ({status}).{said}", retry_after=wait)
    if status in STATUSES:
        kind, sentence = STATUSES[status]
    elif status >= SERVER_FAULT:
        kind, sentence = Transient, f"failed ({status}). It may work later."
    else:
        kind, sentence = Rejected, f"refused the request ({status})."
    return kind(f"{place}: {origin} {sentence}{said}")


def retry_after(text: str | None, now: datetime) -> float | None:
    """Seconds to wait after a Retry-After of seconds or a date (RFC 9110, 10.2.3), or None."""
    said = (text or "").strip()
    if re.fullmatch(r"\d{1,6}", said):
        return float(said)
    try:
        moment = parsedate_to_datetime(said)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (aware - now).total_seconds())


# -- broken connections -------------------------------------------------------------------------------------

NOT_TRUSTED: Final = "its certificate is signed by nobody we know. Set `ca_bundle` to its CA's file."
CERTIFICATES: Final = {
    "certificate has expired": "its certificate has expired. Ask its operator to renew it.",
    "not yet valid": "its certificate is not valid yet. Check the clocks.",
    "mismatch": "its certificate is for another name. Check the address.",
    "self-signed": NOT_TRUSTED,
    "unable to get local issuer": NOT_TRUSTED,
}


def failure(error: Exception, *, place: str, origin: str) -> HubError:
    """The error for an exchange that did not come to an answer."""
    if caused_by(error, NameResolutionError):
        return Misconfigured(f"{place}: the host of {origin} is not known. Check its name and your DNS.")
    if isinstance(error, requests.exceptions.SSLError):
        return Misconfigured(f"{place}: {origin}: {certificate_fault(str(error))}")
    for kinds, of, sentence in KINDS:
        if isinstance(error, kinds):
            return of(f"{place}: {sentence(origin)}")
    return Transient(f"{place}: no connection to {origin}. Is it running and reachable from here?")


KINDS: Final[list[tuple[tuple[type[Exception], ...], type[HubError], Callable[[str], str]]]] = [
    (
        (requests.exceptions.ProxyError,),
        Transient,
        lambda origin: f"the proxy did not let us through to {origin}. Check the setting `proxy`.",
    ),
    (
        (requests.exceptions.Timeout, SlowError),
        Transient,
        lambda origin: f"{origin} did not answer in time.",
    ),
    (
        (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema),
        Misconfigured,
        lambda origin: f"{origin} is not a usable address.",
    ),
    ((HTTPError,), Transient, lambda origin: f"the answer of {origin} broke off in the middle."),
]


def caused_by(error: BaseException, kind: type[BaseException]) -> bool:
    """Whether an error of this kind stands anywhere behind this one."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if isinstance(one, kind):
            return True
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            waiting += [getattr(one, "reason", None), one.__cause__, one.__context__, *one.args]
    return False


def certificate_fault(text: str) -> str:
    """What is wrong with a server's certificate, and what to do, from OpenSSL's reason."""
    for reason, sentence in CERTIFICATES.items():
        if reason in text.lower():
            return sentence
    return "no secure connection. It may speak an old TLS version, or no TLS at all."


# -- words --------------------------------------------------------------------------------------------------


def clean(text: str) -> str:
    """One line of at most 300 printable characters."""
    line = re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in text)).strip()
    return line if len(line) <= MAX_TEXT else line[: MAX_TEXT - 1] + "…"


def shown(url: str) -> str:
    """An address fit for a message: without query, and without anything before an @."""
    return re.sub(r"//[^/@]*@", "//", clean(url.partition("?")[0])[:120])


SECRET_ELEMENTS: Final = re.compile(rb"<(?:password|sessionid)>([^<]+)</")


def redacted(words: str, request: requests.PreparedRequest) -> str:
    """The server's words without what signed the request, should it send that back."""
    for name, value in request.headers.items():
        if name.lower() in UNSECRET:
            continue
        signs = str(value)
        for secret in (signs, signs.rpartition(" ")[2], *_basic_parts(signs)):
            if secret:
                words = words.replace(secret, "[hidden]")
    body = request.body if isinstance(request.body, bytes) else b""
    for secret in SECRET_ELEMENTS.findall(body):
        words = words.replace(unescape(secret.decode("utf-8", "replace")), "[hidden]")
    return words


def _basic_parts(value: str) -> tuple[str, ...]:
    """The pair and the password inside a Basic header (RFC 7617)."""
    scheme, _, packed = value.partition(" ")
    if scheme.lower() != "basic":
        return ()
    try:
        pair = base64.b64decode(packed, validate=True).decode("utf-8", "replace")
    except binascii.Error:
        return ()
    return pair, pair.partition(":")[2]
