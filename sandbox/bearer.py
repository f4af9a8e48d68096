"""Bearer tokens at the simulated ERPs: each is asked about at the control address of the identity provider.

So a revoked token is refused at once, and an outage of the provider's public port does not touch tokens that
were issued. Refusals are as RFC 6750, section 3 has them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import requests


@dataclass(frozen=True)
class Bearer:
    """Who sent a token, and for what it is good."""

    subject: str
    scope: frozenset[str]


@dataclass
class IdentityProvider:
    """A running `python -m sandbox idp`; an empty address knows no token."""

    control: str = ""
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.session.trust_env = False

    def find(self, authorization: str) -> Bearer | None:
        """Say whose token a header holds; None: no token, or one that is dead."""
        scheme, _, token = authorization.partition(" ")
        if not self.control or scheme.lower() != "bearer" or not token:
            return None
        answer = self.session.post(f"{self.control}/_sandbox/introspect", json={"token": token}, timeout=10)
        answer.raise_for_status()
        told = answer.json()
        if (
            not told["active"] or "exp" not in told
        ):  # a refresh token has no end of its own, and signs nothing
            return None
        return Bearer(told["sub"], frozenset(told["scope"].split()))


def challenge(realm: str, error: str, description: str) -> str:
    """Print a WWW-Authenticate header (RFC 6750, 3)."""
    return f'Bearer realm="{realm}", error="{error}", error_description="{description}"'
