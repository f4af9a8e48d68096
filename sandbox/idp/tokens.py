"""Issues, renews, looks up and revokes tokens, by the rules of the provider's profile.

It refuses to renew what has ended, what was spent longer ago than the grace allows, and a token of an older
generation than the one before the current. What a spent token brings about is the profile's `reuse`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.idp.exchange import OAuthError
from sandbox.idp.keys import Keys
from sandbox.idp.profile import Profile
from sandbox.idp.state import Access, Client, Family, Refresh, State, digest


@dataclass
class Issued:
    """A token answer (RFC 6749, 5.1) and what the log says of it."""

    payload: dict[str, Any]
    facts: dict[str, Any]


class Tokens:
    """The tokens of one provider."""

    def __init__(self, state: State, keys: Keys, issuer: str, profile: Callable[[], Profile]) -> None:
        self._state = state
        self._keys = keys
        self._issuer = issuer
        self._profile = profile

    def begin(self, client: Client, subject: str, scope: str, *, consent: bool, nonce: str = "") -> Family:
        """Begin a family; `consent` says that a user agreed, and so may be told who signed in."""
        now = self._state.now()
        needs = self._profile().refresh_needs
        may = "refresh_token" in client.grant_types and (not needs or needs in scope.split())
        renewable = may and (consent or self._profile().refresh_by_client_credentials)
        if consent and self._profile().one_family_per_user:
            self._end_others(client, subject)
        family = Family(
            id=secrets.token_hex(8),
            client_id=client.client_id,
            subject=subject,
            scope=scope,
            created=now,
            signed_in=now if consent else None,
            nonce=nonce,
            renewable=renewable,
            used=now,
        )
        self._state.families[family.id] = family
        return family

    def _end_others(self, client: Client, subject: str) -> None:
        """End what the same user let the same client do before: refresh tokens, not access tokens."""
        for family in self._state.families.values():
            if (family.client_id, family.subject) == (client.client_id, subject) and not family.ended:
                family.ended = "superseded"

    def issue(self, family: Family, scope: str, *, nonce: str = "") -> Issued:
        """Issue an access token; a refresh token and an ID token where the family may have them."""
        now, profile = self._state.now(), self._profile()
        name = secrets.token_hex(8)
        text = self._access_text(family, scope, name, now)
        self._state.accesses[digest(text)] = Access(
            name, family.id, scope, now, int(now) + profile.access_seconds
        )
        payload: dict[str, Any] = {
            "access_token": text,
            "token_type": "Bearer",
            "expires_in": profile.access_seconds,
        }
        facts = {"outcome": "issued", "access_token_id": name, "family": family.id, "subject": family.subject}
        if family.renewable and (profile.rotates or not self._has_refresh(family)):
            payload["refresh_token"], facts["issued_refresh"] = self._refresh(family)
        payload["scope"] = scope
        if "openid" in scope.split() and family.signed_in is not None:
            payload["id_token"] = self._id_token(family, nonce, now)
        return Issued(payload, facts)

    def _has_refresh(self, family: Family) -> bool:
        return any(token.family == family.id for token in self._state.refreshes.values())

    def _access_text(self, family: Family, scope: str, name: str, now: float) -> str:
        """Make an opaque token, or a JWT as RFC 9068 has it."""
        profile = self._profile()
        if profile.access_token == "opaque":  # noqa: S105  a format
            return secrets.token_urlsafe(32)
        claims = {
            "iss": self._issuer,
            "sub": family.subject,
            "aud": profile.audience,
            "client_id": family.client_id,
            "scope": scope,
            "iat": int(now),
            "exp": int(now) + profile.access_seconds,
            "jti": name,
        }
        return self._keys.sign(claims, profile.signed_by, "at+jwt")

    def _refresh(self, family: Family) -> tuple[str, str]:
        text = secrets.token_urlsafe(32)
        self._state.refreshes[digest(text)] = Refresh(family.id, family.generation)
        return text, digest(text)

    def _id_token(self, family: Family, nonce: str, now: float) -> str:
        """Say who signed in, and when (OpenID Connect Core, 2); a renewed one has no nonce (12.2)."""
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "sub": family.subject,
            "aud": family.client_id,
            "iat": int(now),
            "exp": int(now) + self._profile().access_seconds,
            "auth_time": int(family.signed_in or now),
        }
        if nonce:
            claims["nonce"] = nonce
        algorithm = self._state.clients[family.client_id].id_token_signed_response_alg
        return self._keys.sign(claims, algorithm, "JWT")

    def renew(self, client: Client, text: str, scope: str) -> Issued:
        """Renew by a refresh token; an empty scope means that of the consent (RFC 6749, 6).

        Raises:
            OAuthError: invalid_grant, or invalid_scope for more than was agreed to.
        """
        given = digest(text)
        token = self._state.refreshes.get(given)
        family = self._state.families.get(token.family) if token else None
        facts = {"refresh": given, "family": family.id if family else ""}
        if token is None or family is None or family.client_id != client.client_id:
            raise OAuthError(
                "invalid_grant", "the refresh token is not known", {**facts, "reason": "unknown"}
            )
        reason = self._ended(family)
        if reason:
            raise OAuthError("invalid_grant", "the refresh token has ended", {**facts, "reason": reason})
        asked = scope or family.scope
        if not set(asked.split()) <= set(family.scope.split()):
            raise OAuthError("invalid_scope", "more is asked for than was agreed to", facts)
        grace = self._spend(token, family, facts)
        issued = self.issue(family, asked)
        issued.facts |= {**facts, "grace": grace}
        return issued

    def _ended(self, family: Family) -> str:
        """Say why a family renews no more; empty while it does."""
        now, profile = self._state.now(), self._profile()
        if profile.refresh_seconds is not None and now >= family.created + profile.refresh_seconds:
            return "expired"
        if profile.refresh_idle_seconds is not None and now >= family.used + profile.refresh_idle_seconds:
            return "idle"
        return family.ended

    def _spend(self, token: Refresh, family: Family, facts: dict[str, Any]) -> bool:
        """Spend a refresh token; True when the grace period let it pass a second time.

        Only the generation before the current one has a grace: once its successor was spent, it is too old.
        """
        now, profile = self._state.now(), self._profile()
        family.used = now
        if not profile.rotates:
            return False
        if token.spent is None:
            token.spent = now
            family.generation = max(family.generation, token.generation + 1)
            return False
        previous = token.generation + 1 == family.generation
        if previous and now < token.spent + profile.grace_seconds:
            return True
        if profile.reuse == "revoke_family":
            self.end(family, "reused")
        raise OAuthError("invalid_grant", "the refresh token was used before", {**facts, "reason": "reused"})

    def end(self, family: Family, why: str) -> None:
        """End a family: its refresh tokens renew no more, its access tokens are revoked."""
        family.ended = family.ended or why
        for access in self._state.accesses.values():
            access.revoked = access.revoked or access.family == family.id

    def find(self, text: str) -> dict[str, Any]:
        """Describe a token as an introspection answer (RFC 7662, 2.2): of a dead one only that it is."""
        key = digest(text)
        access, refresh = self._state.accesses.get(key), self._state.refreshes.get(key)
        if access is not None and not access.revoked and access.expires > self._state.now():
            family = self._state.families[access.family]
            return {
                "active": True,
                "scope": access.scope,
                "client_id": family.client_id,
                "username": family.subject,
                "sub": family.subject,
                "aud": self._profile().audience,
                "iss": self._issuer,
                "jti": access.id,
                "token_type": "Bearer",
                "iat": int(access.issued),
                "exp": int(access.expires),
            }
        if refresh is not None and refresh.spent is None:
            family = self._state.families[refresh.family]
            if not self._ended(family):
                scope, client = family.scope, family.client_id
                return {"active": True, "scope": scope, "client_id": client, "sub": family.subject}
        return {"active": False}

    def revoke(self, client: Client, text: str) -> dict[str, Any]:
        """Revoke a token (RFC 7009, 2.1), with a refresh token all of its family; gives facts for the log.

        Raises:
            OAuthError: the token belongs to another client.
        """
        key = digest(text)
        access, refresh = self._state.accesses.get(key), self._state.refreshes.get(key)
        token = access or refresh
        if token is None:
            return {"outcome": "nothing to revoke"}
        family = self._state.families[token.family]
        if family.client_id != client.client_id:
            raise OAuthError("invalid_grant", "the token was issued to another client")
        if access is not None:
            access.revoked = True
            return {"outcome": "revoked", "access_token_id": access.id, "family": family.id}
        self.end(family, "revoked")
        return {"outcome": "revoked", "refresh": key, "family": family.id}
