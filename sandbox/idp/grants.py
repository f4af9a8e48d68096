"""The token endpoint: one function for each grant (RFC 6749, 4; RFC 7523, 2.1; RFC 8628, 3.4).

It refuses grants that the profile or the client does not have, and scopes beyond the client's.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Callable, Mapping

from sandbox.idp import assertions
from sandbox.idp.exchange import OAuthError, needed
from sandbox.idp.profile import DEVICE_CODE, JWT_BEARER, Profile
from sandbox.idp.state import Client, Device, State, digest
from sandbox.idp.tokens import Issued, Tokens

VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}")  # RFC 7636, 4.1
SLOWER = 5.0  # seconds that slow_down adds to the interval (RFC 8628, 3.5)


def granted(profile: Profile, client: Client, asked: str) -> str:
    """Give the scope to grant: what is asked for, or the profile's own choice of what the client may have.

    Raises:
        OAuthError: invalid_scope: more is asked for than the client may have, or nothing is.
    """
    may = client.scope.split()
    wanted = asked.split() or [scope for scope in profile.default_scope.split() if scope in may]
    if not wanted:
        raise OAuthError("invalid_scope", "say which scope: this provider has no default")
    if not set(wanted) <= set(may):
        raise OAuthError("invalid_scope", "the client may not have all of this scope")
    return " ".join(wanted)


class Grants:
    """Answers the grants of one provider for a client that has signed in."""

    def __init__(
        self, state: State, tokens: Tokens, profile: Callable[[], Profile], audiences: tuple[str, ...]
    ) -> None:
        self._state = state
        self._tokens = tokens
        self._profile = profile
        self._audiences = audiences
        self._by_type: dict[str, Callable[[Client, Mapping[str, str]], Issued]] = {
            "authorization_code": self._code,
            "client_credentials": self._client_credentials,
            "refresh_token": self._refresh,
            JWT_BEARER: self._jwt_bearer,
            DEVICE_CODE: self._device,
        }

    def answer(self, client: Client, form: Mapping[str, str]) -> Issued:
        """Answer one token request.

        Raises:
            OAuthError: as RFC 6749, 5.2 and RFC 8628, 3.5 name the reasons.
        """
        kind = needed(form, "grant_type")
        if kind not in self._profile().grants:
            raise OAuthError("unsupported_grant_type", "this provider has no such grant")
        if kind not in client.grant_types:
            raise OAuthError("unauthorized_client", "this client may not use this grant")
        return self._by_type[kind](client, form)

    def _code(self, client: Client, form: Mapping[str, str]) -> Issued:
        """Redeem a code once; a second time ends what the first one got (RFC 6749, 4.1.2)."""
        code = self._state.codes.get(digest(needed(form, "code")))
        verifier = needed(form, "code_verifier")
        if code is None or code.client_id != client.client_id:
            raise OAuthError("invalid_grant", "the code is not known")
        if code.family:
            self._tokens.end(self._state.families[code.family], "code reused")
            facts = {"reason": "reused", "family": code.family}
            raise OAuthError("invalid_grant", "the code was used before", facts)
        if self._state.now() >= code.issued + self._profile().code_seconds:
            raise OAuthError("invalid_grant", "the code has expired")
        if form.get("redirect_uri") != code.redirect_uri:
            raise OAuthError("invalid_grant", "redirect_uri is not that of the authorization request")
        if not VERIFIER.fullmatch(verifier) or not secrets.compare_digest(
            _challenge(verifier), code.challenge
        ):
            raise OAuthError("invalid_grant", "code_verifier does not fit the challenge")
        family = self._tokens.begin(client, code.subject, code.scope, consent=True, nonce=code.nonce)
        code.family = family.id
        return self._tokens.issue(family, code.scope, nonce=code.nonce)

    def _client_credentials(self, client: Client, form: Mapping[str, str]) -> Issued:
        """Give the client a token of its own, or of the user it names where the profile has it so."""
        if not client.confidential:
            raise OAuthError("unauthorized_client", "a public client has no credentials")
        subject = client.client_id
        if self._profile().named_user:
            subject = needed(form, "username")
            if subject not in self._profile().users:
                raise OAuthError("invalid_grant", "there is no such user")
        scope = granted(self._profile(), client, form.get("scope", ""))
        return self._tokens.issue(self._tokens.begin(client, subject, scope, consent=False), scope)

    def _refresh(self, client: Client, form: Mapping[str, str]) -> Issued:
        return self._tokens.renew(client, needed(form, "refresh_token"), form.get("scope", ""))

    def _jwt_bearer(self, client: Client, form: Mapping[str, str]) -> Issued:
        """Give a token of the user that a registered issuer vouches for (RFC 7523, 3)."""
        text = needed(form, "assertion")
        try:
            issuer = assertions.issuer(text)
            keys = self._state.issuers.get(issuer, {"keys": []})  # of a stranger nothing can be proven
            claims = assertions.check(text, keys, self._state, issuer=issuer, audiences=self._audiences)
        except assertions.BadAssertion as error:
            raise OAuthError("invalid_grant", str(error)) from error
        if claims["sub"] not in self._profile().users:
            raise OAuthError("invalid_grant", "there is no such user")
        scope = granted(self._profile(), client, form.get("scope", ""))
        return self._tokens.issue(self._tokens.begin(client, claims["sub"], scope, consent=False), scope)

    def begin_device(self, client: Client, asked: str) -> tuple[str, Device]:
        """Begin a sign-in on another device (RFC 8628, 3.2); gives the device code and what is kept of it.

        Raises:
            OAuthError: the client or the profile has no such grant, or the scope is too wide.
        """
        if DEVICE_CODE not in client.grant_types or DEVICE_CODE not in self._profile().grants:
            raise OAuthError("unauthorized_client", "this client may not use this grant")
        letters = "".join(secrets.choice("BCDFGHJKLMNPQRSTVWXZ") for _ in range(8))  # RFC 8628, 6.1
        profile = self._profile()
        device = Device(
            client_id=client.client_id,
            user_code=f"{letters[:4]}-{letters[4:]}",
            scope=granted(profile, client, asked),
            expires=self._state.now() + profile.device_seconds,
            interval=profile.device_interval,
        )
        code = secrets.token_urlsafe(32)
        self._state.devices[digest(code)] = device
        return code, device

    def _device(self, client: Client, form: Mapping[str, str]) -> Issued:
        """Answer a poll (RFC 8628, 3.5)."""
        key = digest(needed(form, "device_code"))
        device = self._state.devices.get(key)
        if device is None or device.client_id != client.client_id:
            raise OAuthError("invalid_grant", "the device code is not known")
        now = self._state.now()
        early, device.polled = now < device.polled + device.interval, now
        if now >= device.expires:
            raise OAuthError("expired_token", "the device code has expired")
        if early:
            device.interval += SLOWER
            raise OAuthError("slow_down", f"wait {device.interval:g} seconds between two calls")
        if not device.decision:
            raise OAuthError("authorization_pending", "the user has not answered yet")
        del self._state.devices[key]
        if device.decision != "allow":
            raise OAuthError("access_denied", "the user refused")
        family = self._tokens.begin(client, device.subject, device.scope, consent=True)
        return self._tokens.issue(family, device.scope)


def _challenge(verifier: str) -> str:
    """Give the S256 challenge of a verifier (RFC 7636, 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
