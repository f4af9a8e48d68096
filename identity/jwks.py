"""An issuer's public keys (RFC 7517), read one by one: what cannot be used is skipped, and hides no other.

Refuses (Denied) more than 512 keys and a set without a usable one; answers over 512 KiB are none (TryLater).
Usable to verify: RSA of 2048 to 8192 bits with an odd exponent from 65537 on, EC on P-256, P-384 and P-521,
Ed25519. Which of them fits a token is not decided here.
"""

from __future__ import annotations

import base64
import binascii
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from joserfc import jwk
from joserfc.errors import JoseError

from identity.answers import accepted
from identity.asking import Asking, Reply
from identity.errors import Denied, TryLater
from identity.ports import Clock

LONGEST: Final = 512 * 1024
MOST_KEYS: Final = 512
KEPT: Final = timedelta(seconds=300)
SURVIVES: Final = timedelta(hours=24)  # without an answer of the issuer
MINUTE: Final = timedelta(minutes=1)
FETCHES: Final = 2  # a minute, as long as there are keys at all
CURVES: Final = {"EC": ("P-256", "P-384", "P-521"), "OKP": ("Ed25519",)}
RSA_BITS: Final = range(2048, 8192 + 1)
SMALLEST_EXPONENT: Final = 65537
PUBLIC: Final = frozenset({"kty", "kid", "use", "key_ops", "alg", "n", "e", "crv", "x", "y"})


@dataclass(frozen=True)
class PublicKey:
    """One key and what is said of it; None: nothing is. `members` are the public ones of its JWK."""

    kty: str
    kid: str | None
    use: str | None
    alg: str | None
    key_ops: tuple[str, ...] | None
    crv: str | None
    members: Mapping[str, Any]


class Jwks:
    """The keys at one address, kept for 300 seconds; safe to share between threads.

    If the issuer does not answer, the last good keys are used on, for 24 hours at most.
    """

    def __init__(self, asking: Asking, address: str, clock: Clock) -> None:
        self._asking = asking
        self._address = address
        self._clock = clock
        self._fetching = threading.Lock()
        self._keys: tuple[PublicKey, ...] = ()
        self._fetched_at: datetime | None = None
        self._tried: list[datetime] = []

    def usable(self, *, fresh: bool = False) -> tuple[PublicKey, ...]:
        """The usable keys; `fresh` asks the issuer again, at most twice a minute. Raises Denied, TryLater."""
        with self._fetching:
            now = self._clock()
            age = None if self._fetched_at is None else now - self._fetched_at
            if age is not None and age < KEPT and not fresh:
                return self._keys
            self._tried = [moment for moment in self._tried if now - moment < MINUTE]
            if age is not None and age < SURVIVES and len(self._tried) >= FETCHES:
                return self._keys
            self._tried.append(now)
            try:
                self._keys = usable_keys(self._asking.get(self._address, longest=LONGEST))
            except TryLater:
                if age is None or age >= SURVIVES:
                    raise
            else:
                self._fetched_at = now
            return self._keys


def usable_keys(reply: Reply) -> tuple[PublicKey, ...]:
    """The usable keys of a JWKS, in its order. Raises Denied and TryLater."""
    listed = accepted(reply).get("keys")
    if not isinstance(listed, list):
        raise Denied("no_keys", "The issuer's JWKS has no list of keys (RFC 7517, 5).")
    if len(listed) > MOST_KEYS:
        raise Denied("too_many_keys", f"The issuer's JWKS has more than {MOST_KEYS} keys.")
    found = tuple(key for key in map(_usable, listed) if key is not None)
    if not found:
        raise Denied("no_usable_keys", f"None of the {len(listed)} keys of the issuer's JWKS can be used.")
    return found


def _usable(listed: Any) -> PublicKey | None:
    """The key; None for one that cannot verify a signature."""
    if not isinstance(listed, dict):
        return None
    members = {name: value for name, value in listed.items() if name in PUBLIC}
    kty, crv, operations = members.get("kty"), members.get("crv"), members.get("key_ops")
    told = [members.get(name) for name in ("kid", "use", "alg")]
    if not all(value is None or isinstance(value, str) for value in told):
        return None
    if operations is not None and not (
        isinstance(operations, list) and all(isinstance(operation, str) for operation in operations)
    ):
        return None
    if not (_fits(members) if kty == "RSA" else crv in CURVES.get(str(kty), ())):
        return None
    try:
        jwk.import_key(members).raw_value  # noqa: B018  # builds the key, which is what can fail
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    kid, use, alg = told
    named = None if operations is None else tuple(operations)
    return PublicKey(str(kty), kid, use, alg, named, crv, members)


def _fits(members: Mapping[str, Any]) -> bool:
    """Whether an RSA key has a size and an exponent that we trust."""
    try:
        modulus, exponent = (_number(members[name]) for name in ("n", "e"))
    except (KeyError, TypeError, AttributeError, binascii.Error, ValueError):
        return False
    return modulus.bit_length() in RSA_BITS and exponent % 2 == 1 and SMALLEST_EXPONENT <= exponent < 2**64


def _number(text: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")
