"""One request and its answer, as the endpoints see them, and the errors of RFC 6749, section 5.2.

It refuses forms in which a parameter comes twice; an empty parameter counts as left out (RFC 6749, 3.2).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

FORM = "application/x-www-form-urlencoded"
JSON = "application/json;charset=UTF-8"
NOT_STORED = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class OAuthError(Exception):
    """A refusal that is answered as an error object; `facts` go to the log only."""

    def __init__(
        self, error: str, description: str, facts: Mapping[str, Any] | None = None, *, status: int = 400
    ) -> None:
        super().__init__(description)
        self.error = error
        self.status = status
        self.headers: dict[str, str] = {}
        self.facts = dict(facts or {})


@dataclass(frozen=True)
class Request:
    """What came in: header names in lower case, the body as it is, the client's certificate as DER."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = b""
    certificate: bytes | None = None

    def parameters(self) -> dict[str, str]:
        """Read the query of a GET.

        Raises:
            OAuthError: a parameter comes twice.
        """
        return _once(self.query)

    def form(self) -> dict[str, str]:
        """Read the form of a POST.

        Raises:
            OAuthError: it is no form, or a parameter comes twice.
        """
        if self.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
            raise OAuthError("invalid_request", f"send a form as {FORM}")
        try:
            return _once(self.body.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise OAuthError("invalid_request", "the form is not UTF-8") from error


def _once(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        if name in found:
            raise OAuthError("invalid_request", f"the parameter {name} comes twice")
        found[name] = value
    return {name: value for name, value in found.items() if value}


@dataclass
class Answer:
    """What is sent back, with what the log says of it; facts never hold a secret."""

    status: int
    body: bytes = b""
    media_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


def told(payload: Mapping[str, Any], facts: Mapping[str, Any] | None = None, *, status: int = 200) -> Answer:
    """Answer with a JSON object that no cache may keep."""
    body = json.dumps(payload).encode()
    return Answer(status, body, headers=dict(NOT_STORED), facts=dict(facts or {}))


def refused(error: OAuthError) -> Answer:
    """Answer with an error object (RFC 6749, 5.2)."""
    answer = told({"error": error.error, "error_description": str(error)}, status=error.status)
    answer.headers |= error.headers
    answer.facts = {"outcome": error.error, **error.facts}
    return answer


def needed(parameters: Mapping[str, str], name: str) -> str:
    """Give a parameter that must be there.

    Raises:
        OAuthError: it is not.
    """
    if name not in parameters:
        raise OAuthError("invalid_request", f"the parameter {name} is missing")
    return parameters[name]
