"""What people type to sign in with, on its way into the vault.

Refuses a credential that the system would not sign with.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from uuid import UUID

import pydantic

from connectors.kit.stream import System
from identity.errors import Denied
from identity.kinds import Basic, IntacctLogin, Material
from identity.oauth import OAuthClient
from identity.secret import Secret
from receivables.errors import Misconfigured


@dataclass(frozen=True)
class NewCredential:
    """What was typed, on its way into the vault: a user's pair, and for some systems the sender's."""

    user: str
    password: Secret
    sender_id: str | None = None
    sender_password: Secret | None = None


GENERIC = "generic"
OWN_PROVIDER = {"sap_s4hana": "sap"}  # systems that give their tokens themselves, and how they are known
Typed = NewCredential | OAuthClient


def refuse_needless(key: str, system: System, credential: Typed | UUID | None) -> None:
    """A secret that nothing signs with would only lie in the vault."""
    if not system.credentials and credential is not None:
        raise Misconfigured(f"{key}: {system.title} is asked for no credential. Leave it out.")


def material(system: System, settings: pydantic.BaseModel, credential: Typed) -> Material:
    """The credential as the vault keeps it, of a kind that the system takes; raises Denied."""
    if isinstance(credential, OAuthClient):
        if OAuthClient.kind not in system.credentials:
            raise Denied("no_oauth", f"{system.title} is signed in to with --user, not as an OAuth client.")
        nowhere = credential.token_endpoint is None and credential.issuer is None
        if nowhere and credential.provider == GENERIC and system.name in OWN_PROVIDER:
            return replace(credential, provider=OWN_PROVIDER[system.name])
        return credential
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
