"""Every error of identity, named after what to do next.

IdentityError
├── TryLater      the other side may answer the next time
├── NeedsConsent  a person must consent again; no further calls until then
└── Denied        refused, and trying again without a change will be refused again

`code` is the provider's own error code where a provider refused, else ours, in snake_case. No message holds
a secret. Errors of PostgreSQL pass through as psycopg raises them.
"""

from __future__ import annotations


class IdentityError(Exception):
    """The root: nothing raises it itself."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class TryLater(IdentityError):
    """Nothing is wrong with the credential; the other side could not answer now."""


class NeedsConsent(IdentityError):
    """The grant is gone; a person must connect the service again."""


class Denied(IdentityError):
    """Refused: a credential, a key file, an address or an input must be changed by a person."""
