"""What people type to sign in with, on its way into the vault.

Refuses a credential that the system would not sign with.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import pydantic

from connectors.kit.stream import System
from identity.errors import Denied
from identity.kinds import Basic, IntacctLogin, Material
from identity.secret import Secret
from receivables.errors import Misconfigured


@dataclass(frozen=True)
class NewCredential:
    """What was typed, on its way into the vault: a user's pair, and for some systems the sender's."""

    user: str
    password: Secret
    sender_id: str | None = None
    sender_password: Secret | None = None


def refuse_needless(key: str, system: System, credential: NewCredential | UUID | None) -> None:
    """A secret that nothing signs with would only lie in the vault."""
    if not system.credentials and credential is not None:
        raise Misconfigured(f"{key}: {system.title} is asked for no credential. Leave it out.")


def material(system: System, settings: pydantic.BaseModel, credential: NewCredential) -> Material:
    """The credential as the vault keeps it, of the kind that the system signs in with; raises Denied."""
    if Basic.kind in system.credentials:
        return Basic(credential.user, credential.password)
    if credential.sender_id is None or credential.sender_password is None:
        raise Denied("no_sender", f"{system.title} asks for a sender id and its password as well.")
    return IntacctLogin(
        credential.user,
        credential.password,
        str(getattr(settings, "company_id", "")),
        credential.sender_id,
        credential.sender_password,
    )
