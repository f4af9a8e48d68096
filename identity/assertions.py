"""Signed assertions (RFC 7523): that a client is who it says, or that we vouch for a user.

Built by authlib, signed by joserfc, each good once and for a minute. Refuses (Denied) keys that are
neither RSA of 2048 bits or more nor EC on P-256, P-384 or P-521, and never repeats one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from authlib.oauth2.rfc7523.assertion import sign_jwt_bearer_assertion
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from identity.errors import Denied
from identity.secret import Secret

LIFETIME: Final = 60  # seconds
SMALLEST_RSA: Final = 2048
LARGEST_RSA: Final = 8192
EC_ALGORITHMS: Final = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}


@dataclass(frozen=True)
class Vouching:
    """What we sign with: a private key, as PEM (PKCS 8) or as a JWK, and the id under which it is known."""

    key: Secret
    key_id: str | None = None

    def __post_init__(self) -> None:
        _imported(self.key)

    def assertion(self, *, issuer: str, subject: str, audience: str, at: datetime, jti: str) -> Secret:
        """The JWT: issued at this moment (with a zone), for a minute, under an id that is used once."""
        key, algorithm = _imported(self.key)
        header = {"alg": algorithm, "typ": "JWT"} | ({"kid": self.key_id} if self.key_id else {})
        signed = sign_jwt_bearer_assertion(
            key,
            issuer,
            audience,
            subject,
            issued_at=int(at.timestamp()),
            expires_in=LIFETIME,
            claims={"jti": jti},
            header=header,
        )
        return Secret(signed)


def _imported(secret: Secret) -> tuple[RSAKey | ECKey, str]:
    """The key and the algorithm that goes with it; raises Denied."""
    try:
        key = _from_jwk(secret) if secret.reveal().lstrip().startswith("{") else _from_pem(secret)
    except (JoseError, ValueError, TypeError, KeyError):
        key = None
    if isinstance(key, RSAKey) and key.is_private:
        return key, "RS256"
    if isinstance(key, ECKey) and key.is_private and key.curve_name in EC_ALGORITHMS:
        return key, EC_ALGORITHMS[key.curve_name]
    raise Denied(
        "unusable_key",
        f"A signing key is a private key without a password, as PEM or JWK: RSA of {SMALLEST_RSA} to "
        f"{LARGEST_RSA} bits, or EC on P-256, P-384 or P-521.",
    )


def _fits(bits: int) -> bool:
    """Asked before joserfc is, which only warns; base64url rounds up to a whole character."""
    return SMALLEST_RSA <= bits <= LARGEST_RSA + 6


def _from_jwk(secret: Secret) -> RSAKey | ECKey | None:
    parts: Any = json.loads(secret.reveal())
    kinds: dict[str, type[RSAKey | ECKey]] = {"RSA": RSAKey, "EC": ECKey}
    kind = kinds.get(str(parts.get("kty"))) if isinstance(parts, dict) else None
    if kind is None or (kind is RSAKey and not _fits(len(str(parts.get("n"))) * 6)):
        return None
    return kind.import_key(parts)


def _from_pem(secret: Secret) -> RSAKey | ECKey | None:
    text = secret.reveal().encode()
    loaded = load_pem_private_key(text, password=None)
    if isinstance(loaded, RSAPrivateKey):
        return RSAKey.import_key(text) if _fits(loaded.key_size) else None
    return ECKey.import_key(text) if isinstance(loaded, EllipticCurvePrivateKey) else None
