"""Checks signed assertions (RFC 7523): of clients that sign in by a key, of issuers that vouch for a user.

It refuses other algorithms than RS256 and ES256, an assertion without an end or with one over an hour away,
and one that was used before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from joserfc import jwk, jws, jwt
from joserfc.errors import JoseError

from sandbox.idp.keys import ALGORITHMS
from sandbox.idp.state import State, digest

LONGEST = 3600
TYPE_OF_CLIENT = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class BadAssertion(Exception):
    """An assertion that proves nothing; the sentence says why."""


def issuer(text: str) -> str:
    """Give the issuer that an assertion names, unproven: it chooses the keys to check it with.

    Raises:
        BadAssertion: it is no JWT, or names none.
    """
    try:
        claims = msgspec.json.decode(jws.extract_compact(text.encode()).payload, type=dict[str, Any])
    except (JoseError, ValueError, msgspec.MsgspecError) as error:
        raise BadAssertion("the assertion is no JWT") from error
    if not isinstance(claims.get("iss"), str):
        raise BadAssertion("the assertion names no issuer")
    return str(claims["iss"])


def check(
    text: str, keys: Mapping[str, Any], state: State, *, issuer: str, audiences: tuple[str, ...]
) -> Mapping[str, Any]:
    """Prove an assertion and give its claims; it is spent by that (RFC 7523, section 3).

    Raises:
        BadAssertion: signature, issuer, audience or time is wrong, or it was used before.
    """
    now = state.now()
    try:
        found: Any = jwk.KeySet.import_key_set(dict(keys))  # type: ignore[arg-type]
        token = jwt.decode(text, found, algorithms=list(ALGORITHMS))
        jwt.JWTClaimsRegistry(
            now=int(now),
            iss={"essential": True, "value": issuer},
            sub={"essential": True},
            aud={"essential": True, "values": list(audiences)},
            exp={"essential": True},
        ).validate(token.claims)
    except (JoseError, ValueError, KeyError) as error:
        raise BadAssertion(f"the assertion is not valid: {error}") from error
    claims: Mapping[str, Any] = token.claims
    if claims["exp"] > now + LONGEST:
        raise BadAssertion("the assertion ends more than an hour from now")
    used = digest(f"{issuer} {claims.get('jti') or text}")
    if used in state.assertions:
        raise BadAssertion("the assertion was used before")
    state.assertions[used] = float(claims["exp"])
    return claims
