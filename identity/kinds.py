"""The kinds of credential: what each is made of, what it refuses, and how it signs a request.

A kind is a frozen value with plain fields that may be shown and one Secret that may not. Refuses (Denied),
without ever repeating it, what could not be sent or would break out of its header.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from requests import PreparedRequest
from requests.auth import HTTPBasicAuth

from identity.errors import Denied
from identity.oauth import OAuthClient
from identity.secret import Secret

LONGEST_NAME = 255
LONGEST_SECRET = 16_384
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
PRINTABLE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
NOT_IN_XML = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
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


@dataclass(frozen=True)
class IntacctLogin:
    """What Sage Intacct asks for: the pair of the sender (who wrote the software) and of a company's user.

    It signs nothing itself: identity.intacct logs in with it, and signs with the session that it is given.
    """

    kind: ClassVar[str] = "intacct"
    subject: str  # the user id
    secret: Secret
    company: str
    sender: str
    sender_secret: Secret

    def __post_init__(self) -> None:
        names = {"user id": self.subject, "company id": self.company, "sender id": self.sender}
        for name, text in names.items():
            if not 1 <= len(text) <= LONGEST_NAME or not _in_xml(text) or text != text.strip():
                raise Denied(
                    "invalid_" + name.replace(" ", "_"),
                    f"A {name} has 1 to {LONGEST_NAME} printable characters, with no space before or after.",
                )
        for name, secret in {"password": self.secret, "sender password": self.sender_secret}.items():
            if not _is_password(secret.reveal()) or not _in_xml(secret.reveal()):
                raise Denied(
                    "invalid_" + name.replace(" ", "_"),
                    f"A {name} has 1 to {LONGEST_SECRET} characters and no control characters. "
                    "A line end that came along when it was pasted is the usual reason.",
                )


Signing: TypeAlias = Basic | ApiKey
Material: TypeAlias = Basic | ApiKey | IntacctLogin | OAuthClient


@dataclass(frozen=True)
class Stored:
    """A credential as it is stored, its secrets opened; what a kind does not have is None.

    `second_secret` is the password of Intacct's sender, or the key that signs an OAuth client's assertions.
    """

    kind: str
    subject: str | None
    header: str | None
    company: str | None
    sender: str | None
    facts: Mapping[str, Any] | None
    secret: Secret
    second_secret: Secret | None


def material(stored: Stored) -> Material:
    """The credential of a stored row; raises Denied for a kind that this version does not know."""
    if stored.kind == Basic.kind and stored.subject is not None:
        return Basic(stored.subject, stored.secret)
    if stored.kind == ApiKey.kind and stored.header is not None:
        return ApiKey(stored.header, stored.secret)
    if (
        stored.kind == IntacctLogin.kind
        and stored.subject is not None
        and stored.company is not None
        and stored.sender is not None
        and stored.second_secret is not None
    ):
        return IntacctLogin(
            stored.subject, stored.secret, stored.company, stored.sender, stored.second_secret
        )
    if stored.kind == OAuthClient.kind and stored.subject is not None and stored.facts is not None:
        return OAuthClient.stored(stored.subject, stored.secret, stored.second_secret, stored.facts)
    raise Denied("unknown_kind", f"This version of Encours knows no credential of kind {stored.kind!r}.")


def _in_xml(text: str) -> bool:
    """Whether XML 1.0 can hold every character (section 2.2)."""
    return NOT_IN_XML.search(text) is None


def _is_password(text: str) -> bool:
    return 1 <= len(text) <= LONGEST_SECRET and _sendable(text)


def _is_api_key(text: str) -> bool:
    return len(text) <= LONGEST_SECRET and PRINTABLE.fullmatch(text) is not None


def _sendable(text: str) -> bool:
    return not any(unicodedata.category(character) in ("Cc", "Cs") for character in text)
