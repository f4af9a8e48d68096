"""The kinds of credential: what each is made of, what it refuses, and how it signs a request.

A kind is a frozen value with plain fields that may be shown and one Secret that may not. Refuses (Denied),
without ever repeating it, what could not be sent or would break out of its header.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from requests import PreparedRequest
from requests.auth import HTTPBasicAuth

from identity.errors import Denied
from identity.secret import Secret

LONGEST_NAME = 255
LONGEST_SECRET = 16_384
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
PRINTABLE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
# Headers that steer the connection or the body: a key in one of them would break the request, or another's.
STEERING = frozenset(
    {"accept", "connection", "content-length", "content-type", "cookie", "expect", "forwarded", "host"}
    | {"keep-alive", "location", "proxy-authenticate", "proxy-authorization", "te", "trailer"}
    | {"transfer-encoding", "upgrade"}
)


@dataclass(frozen=True)
class Basic:
    """A user name and a password (RFC 7617, charset UTF-8)."""

    kind: ClassVar[str] = "basic"
    subject: str
    secret: Secret

    def __post_init__(self) -> None:
        if not 1 <= len(self.subject) <= LONGEST_NAME or ":" in self.subject or not _sendable(self.subject):
            raise Denied(
                "invalid_user_name",
                f"A user name has 1 to {LONGEST_NAME} characters, no colon, no control character (RFC 7617).",
            )
        if not _is_password(self.secret.reveal()):
            raise Denied(
                "invalid_password",
                f"A password has 1 to {LONGEST_SECRET} characters and no control characters (RFC 7617). "
                "A line end that came along when it was pasted is the usual reason.",
            )

    def sign(self, request: PreparedRequest) -> PreparedRequest:
        """Sets Authorization."""
        # As bytes: requests would encode text as Latin-1, which has neither the euro sign nor Japanese.
        HTTPBasicAuth(self.subject.encode(), self.secret.reveal().encode())(request)
        return request


@dataclass(frozen=True)
class ApiKey:
    """A key that is sent as it is in a header of this name (SAP API Hub: `APIKey`)."""

    kind: ClassVar[str] = "api_key"
    header: str
    secret: Secret

    def __post_init__(self) -> None:
        if not TOKEN.fullmatch(self.header) or self.header.lower() in STEERING:
            raise Denied(
                "invalid_header",
                "An API key stands in a header (RFC 9110, 5.6.2) that does not steer the request. "
                "Examples: APIKey, X-API-Key, Authorization.",
            )
        if not _is_api_key(self.secret.reveal()):
            raise Denied(
                "invalid_api_key",
                f"An API key has 1 to {LONGEST_SECRET} visible ASCII characters, with no space or line end "
                "before or after them.",
            )

    def sign(self, request: PreparedRequest) -> PreparedRequest:
        """Sets the key's header."""
        request.headers[self.header] = self.secret.reveal()
        return request


Material: TypeAlias = Basic | ApiKey


def material(kind: str, subject: str | None, header: str | None, secret: Secret) -> Material:
    """The credential of a stored row; raises Denied for a kind that this version does not know."""
    if kind == Basic.kind and subject is not None:
        return Basic(subject, secret)
    if kind == ApiKey.kind and header is not None:
        return ApiKey(header, secret)
    raise Denied("unknown_kind", f"This version of Encours knows no credential of kind {kind!r}.")


def _is_password(text: str) -> bool:
    return 1 <= len(text) <= LONGEST_SECRET and _sendable(text)


def _is_api_key(text: str) -> bool:
    return len(text) <= LONGEST_SECRET and PRINTABLE.fullmatch(text) is not None


def _sendable(text: str) -> bool:
    return not any(unicodedata.category(character) in ("Cc", "Cs") for character in text)
