"""The provider's signing keys, one RSA and one EC, replaced on command; published as RFC 7517 has them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from joserfc import jwk, jwt

from sandbox.idp.state import State

ALGORITHMS = ("RS256", "ES256")


def _fresh(algorithm: str) -> dict[str, Any]:
    parameters: Any = {"kid": secrets.token_hex(8), "use": "sig", "alg": algorithm}
    if algorithm == "RS256":
        return dict(jwk.RSAKey.generate_key(2048, parameters).as_dict(private=True))
    return dict(jwk.ECKey.generate_key("P-256", parameters).as_dict(private=True))


class Keys:
    """Signs, and publishes the public halves; the newest key of an algorithm comes first and signs."""

    def __init__(self, state: State) -> None:
        self._state = state
        if not state.keys:
            self.rotate(keep_old=False)

    def rotate(self, *, keep_old: bool) -> None:
        """Sign with new keys from now on; the old ones stay published or go."""
        kept = self._state.keys if keep_old else []
        self._state.keys = [*(_fresh(algorithm) for algorithm in ALGORITHMS), *kept]

    def published(self) -> dict[str, Any]:
        """Give the JWKS."""
        return {"keys": [jwk.import_key(key).as_dict(private=False) for key in self._state.keys]}

    def sign(self, claims: Mapping[str, Any], algorithm: str, kind: str) -> str:
        """Sign claims as a JWT; `kind` is its `typ`."""
        key = next(key for key in self._state.keys if key["alg"] == algorithm)
        header = {"alg": algorithm, "kid": key["kid"], "typ": kind}
        return jwt.encode(header, dict(claims), jwk.import_key(key), algorithms=[algorithm])
