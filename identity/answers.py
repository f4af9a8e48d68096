"""What a token provider's answer means, read strictly (RFC 6749, 5; RFC 7009; RFC 7662; RFC 8628).

Three outcomes. Granted: a 200 with a JSON object that holds a bearer token and no error. Denied: a clear
refusal, with the provider's own code where it gave one, a redirect, or less scope than was asked for.
TryLater: the provider failed, or its 200 cannot be used, so that nobody knows what it did. No message repeats
a secret that was sent or received. A media type is not looked at: the body proves itself, and a token that
was taken away with a wrong label would be lost.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote_plus

from identity.asking import Reply
from identity.errors import Denied, TryLater
from identity.secret import Secret
from identity.signing import origin
from identity.strict_json import Malformed, strict_object

LONGEST_TOKEN: Final = 16_384
LONGEST_WORDS: Final = 200
MOST_WORDS: Final = 2_000  # looked at
DEFAULT_LIFETIME: Final = 3_600  # seconds, where an answer tells none and the provider's profile neither
LONGEST_LIFETIME: Final = 86_400  # seconds: what is said to last longer is renewed after a day all the same
DEFAULT_INTERVAL: Final = 5  # seconds between two polls (RFC 8628, 3.2)
SLOWER: Final = 5  # seconds that slow_down adds (RFC 8628, 3.5)
LONGEST_INTERVAL: Final = 300
TELLING: Final = 8  # a part of a secret of so many characters is hidden as well
PRINTABLE: Final = re.compile(r"[\x21-\x7e]+")
DIGITS: Final = re.compile(r"[0-9]{1,40}")
CODE: Final = re.compile(r"[A-Za-z0-9_.:/-]{1,64}")
OK: Final = 200
REDIRECTS: Final = range(300, 400)
REFUSALS: Final = range(400, 500)
LATER: Final = frozenset({"server_error", "temporarily_unavailable"})
LATER_STATUSES: Final = frozenset({408, 425, 429})


@dataclass(frozen=True)
class Granted:
    """A usable answer: `expires_in` in seconds from the answer, `scope` None where it is as asked (5.1).

    `refresh` is None where the answer brings none: the one in use stays good (section 6).
    """

    access: Secret
    refresh: Secret | None
    expires_in: int
    scope: frozenset[str] | None


@dataclass(frozen=True)
class Device:
    """A sign-in that waits for a person: where to enter which code, for how long; times in seconds."""

    code: Secret
    user_code: str
    address: str
    address_with_code: str | None
    expires_in: int
    interval: int


@dataclass(frozen=True)
class Introspected:
    """What a provider says of a token (RFC 7662, 2.2); times are seconds since 1970."""

    active: bool
    scope: frozenset[str] | None
    subject: str | None
    client_id: str | None
    expires_at: int | None


def granted(reply: Reply, asked: frozenset[str] | None, *, lifetime: int = DEFAULT_LIFETIME) -> Granted:
    """The tokens of an answer; `asked` None: whatever is granted is right. Raises Denied and TryLater.

    `lifetime` is the provider's default, where the answer has no expires_in or null. A text of digits is
    taken for a number, and more than a day for a day.
    """
    told = accepted(reply)
    kind = told.get("token_type")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise _unusable("its token_type is not Bearer")
    found = Granted(
        access=_token(told, "access_token"),
        refresh=None if told.get("refresh_token") in (None, "") else _token(told, "refresh_token"),
        expires_in=_seconds(told, "expires_in", lifetime, LONGEST_LIFETIME),
        scope=_scope(told),
    )
    if asked is not None:
        refuse_narrower(found, asked)
    return found


def refuse_narrower(found: Granted, asked: frozenset[str]) -> None:
    """Raises Denied("downscoped"), naming what is missing; more scope than asked for is no error."""
    missing = asked - (asked if found.scope is None else found.scope)
    if missing:
        raise Denied(
            "downscoped",
            f"The token provider grants less than was asked for; missing: {' '.join(sorted(missing))}. "
            "Have it granted there, or ask for less.",
        )


def polled(
    reply: Reply, asked: frozenset[str] | None, interval: int, *, lifetime: int = DEFAULT_LIFETIME
) -> Granted | int:
    """The tokens, or after how many seconds to poll again (RFC 8628, 3.5). Raises Denied and TryLater."""
    try:
        return granted(reply, asked, lifetime=lifetime)
    except Denied as denied:
        if denied.code == "authorization_pending":
            return interval
        if denied.code == "slow_down":
            return interval + SLOWER
        raise


def device(reply: Reply) -> Device:
    """What a device authorization request began (RFC 8628, 3.2). Raises Denied and TryLater."""
    told = accepted(reply)
    complete = told.get("verification_uri_complete")
    return Device(
        code=_token(told, "device_code"),
        user_code=_text(told, "user_code"),
        address=_address(told, "verification_uri"),
        address_with_code=None if complete is None else _address(told, "verification_uri_complete"),
        expires_in=_seconds(told, "expires_in", None, LONGEST_LIFETIME),
        interval=_interval(told),
    )


def revoked(reply: Reply) -> None:
    """Nothing, if the token is revoked or was unknown (RFC 7009, 2.2). Raises Denied and TryLater."""
    if reply.status != OK:
        accepted(reply)


def introspected(reply: Reply) -> Introspected:
    """What the provider says of a token (RFC 7662, 2.2). Raises Denied and TryLater."""
    told = accepted(reply)
    active = told.get("active")
    if not isinstance(active, bool):
        raise _unusable("its member active is neither true nor false")
    expires = told.get("exp")
    return Introspected(
        active=active,
        scope=_scope(told),
        subject=_text(told, "sub") if told.get("sub") is not None else None,
        client_id=_text(told, "client_id") if told.get("client_id") is not None else None,
        expires_at=expires if isinstance(expires, int) and not isinstance(expires, bool) else None,
    )


def accepted(reply: Reply) -> Mapping[str, Any]:
    """The object of a 200 without an error; raises Denied for a clear refusal, TryLater for anything else."""
    if reply.status in REDIRECTS:
        raise Denied(
            "redirected",
            f"The token provider redirects ({reply.status}), which is not followed. Use its own address.",
        )
    if reply.status in REFUSALS and reply.status not in LATER_STATUSES:
        raise _refusal(reply, _readable(reply))
    if reply.status != OK:
        raise TryLater("provider_error", f"The token provider failed or is busy ({reply.status}).")
    try:
        told = strict_object(reply.body)
    except Malformed as malformed:
        raise _unusable(str(malformed)) from None
    if told.get("error") is not None:
        raise _refusal(reply, told)
    return told


def _readable(reply: Reply) -> Mapping[str, Any]:
    """The object of a refusal, empty where it has none: the status alone refuses."""
    try:
        return strict_object(reply.body)
    except Malformed:
        return {}


def _refusal(reply: Reply, told: Mapping[str, Any]) -> Denied | TryLater:
    """The error of RFC 6749, 5.2, without our secrets; a token beside it is not used."""
    error = told.get("error")
    code = _clean(error, reply.sent) if isinstance(error, str) else ""
    if not CODE.fullmatch(code):
        code = "refused"
    described = told.get("error_description", told.get("message"))
    words = _clean(described, reply.sent) if isinstance(described, str) else ""
    said = f" It says: {words}" if words else ""
    if code in LATER:
        return TryLater("provider_error", f"The token provider asks to try again later ({code}).{said}")
    return Denied(code, f"The token provider refuses ({reply.status}, {code}).{said}")


def _clean(words: str, sent: tuple[Secret, ...]) -> str:
    """The provider's words, short, printable, and without what was sent or a telling part of it."""
    words = words[:MOST_WORDS]
    hidden = [secret.reveal() for secret in sent if secret.reveal()]
    for text in hidden:
        for form in {text, quote_plus(text)}:
            words = words.replace(form, "[hidden]")
    for word in {word for word in words.split() if any(_tells(word, text) for text in hidden)}:
        words = words.replace(word, "[hidden]")
    return "".join(c if c.isprintable() else " " for c in words).strip()[:LONGEST_WORDS]


def _tells(word: str, secret: str) -> bool:
    return any(word[at : at + TELLING] in secret for at in range(len(word) - TELLING + 1))


def _unusable(why: str) -> TryLater:
    return TryLater(
        "unreadable", f"The token provider's answer cannot be used: {why}. Nothing of it was stored."
    )


def _token(told: Mapping[str, Any], name: str) -> Secret:
    value = told.get(name)
    if not isinstance(value, str) or len(value) > LONGEST_TOKEN or not PRINTABLE.fullmatch(value):
        raise _unusable(f"its {name} is not a text of 1 to {LONGEST_TOKEN} printable ASCII characters")
    return Secret(value)


def _text(told: Mapping[str, Any], name: str) -> str:
    value = told.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_WORDS or not value.isprintable():
        raise _unusable(f"its {name} is not a printable text of 1 to {LONGEST_WORDS} characters")
    return value


def _address(told: Mapping[str, Any], name: str) -> str:
    value = told.get(name)
    if not isinstance(value, str) or len(value) > LONGEST_TOKEN or not PRINTABLE.fullmatch(value):
        raise _unusable(f"its {name} is no address")
    try:
        origin("The token provider", value)
    except Denied:
        raise _unusable(f"its {name} is no address") from None
    return value


def _seconds(told: Mapping[str, Any], name: str, default: int | None, longest: int) -> int:
    value = told.get(name, default)
    if value is None:
        value = default
    if isinstance(value, str) and DIGITS.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise _unusable(f"its {name} is not a whole number of seconds above 0")
    return min(value, longest)


def _interval(told: Mapping[str, Any]) -> int:
    value = told.get("interval", DEFAULT_INTERVAL)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= LONGEST_INTERVAL:
        raise _unusable(f"its interval is not a number of seconds up to {LONGEST_INTERVAL}")
    return math.ceil(value)


def _scope(told: Mapping[str, Any]) -> frozenset[str] | None:
    """The scope, a text with spaces between its parts (RFC 6749, 3.3)."""
    value = told.get("scope")
    if value is None:
        return None
    if not isinstance(value, str):
        raise _unusable("its scope is not a text")
    return frozenset(value.split())
