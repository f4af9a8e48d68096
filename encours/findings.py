"""What a security team should look at: credentials without an owner, shared, unused, too strong, or ending.

Refuses nothing; each finding says what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from identity.inventory import NEEDS_CONSENT, Holding
from identity.oauth import OAuthClient
from identity.providers import provider

UNUSED: Final = timedelta(days=90)  # after which a credential counts as forgotten
LAPSING: Final = 3 / 4  # of what a provider lets a refresh token lie; the care renews it at a half


@dataclass(frozen=True)
class Finding:
    """One thing to look at: `code` for scripts, and a sentence."""

    code: str
    sentence: str


def findings(
    held: Holding, connectors: Sequence[str], last_used_at: datetime | None, now: datetime
) -> list[Finding]:
    """What is to be looked at in one credential; `connectors` are the keys of those that sign with it."""
    sentences = {
        "needs_consent": _ended(held, connectors),
        "lapsing": _lapsing(held, now),
        "ownerless": _ownerless(held, connectors),
        "unused": _unused(held, connectors, last_used_at, now),
        "shared": f"{len(connectors)} connectors sign with it." if len(connectors) > 1 else None,
        "over_scoped": _over_scoped(held),
        "never_expires": _never_expires(held, now),
    }
    return [Finding(code, sentence) for code, sentence in sentences.items() if sentence]


def _ownerless(held: Holding, connectors: Sequence[str]) -> str | None:
    if held.owner:
        return None
    return " ".join(["Nobody answers for it: encours tokens assign", *connectors[:1], "--owner NAME"])


def _ended(held: Holding, connectors: Sequence[str]) -> str | None:
    if held.state != NEEDS_CONSENT:
        return None
    return f"Its provider no longer honours the grant: encours connectors connect {' '.join(connectors[:1])}"


def _lapsing(held: Holding, now: datetime) -> str | None:
    """A refresh token that nobody has used for long, although encours_care renews such."""
    if not held.renewable or held.issued_at is None:
        return None
    idle = provider(held.service).idle_seconds
    if idle is None or now - held.issued_at < timedelta(seconds=idle) * LAPSING:
        return None
    ends = held.issued_at + timedelta(seconds=idle)
    return f"Its refresh token ends unused on {ends:%d %b %Y}. Look at the DAG encours_care, which renews it."


def _unused(
    held: Holding, connectors: Sequence[str], last_used_at: datetime | None, now: datetime
) -> str | None:
    if not connectors:
        return "No connector signs with it."
    since = last_used_at or held.replaced_at or held.created_at
    if now - since < UNUSED:
        return None
    return f"No run has signed with it for {(now - since).days} days. Remove its connector, or revoke it."


def _over_scoped(held: Holding) -> str | None:
    if held.scope is None:
        return None
    profile = provider(held.service)
    asked = {
        *(held.facts.get("scopes") or profile.scopes),
        *profile.refresh_needs,
        *profile.unanswered_scopes,
    }
    more = sorted(set(held.scope.split()) - asked)
    if not more:
        return None
    return f"Its token may do what was not asked for: {' '.join(more)}. Have the client's rights cut."


def _never_expires(held: Holding, now: datetime) -> str | None:
    if held.kind == OAuthClient.kind:
        return None
    days = (now - (held.replaced_at or held.created_at)).days
    return f"Its secret has no end and is {days} days old."
