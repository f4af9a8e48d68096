"""A person's consent: waited for while the person types a code elsewhere (RFC 8628), or obtained elsewhere.

Refuses (Denied) a credential that signs in without one, and a consent that brings no refresh token: it would
end within the hour. Until the person has decided, what was there before stays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Final, TypeAlias

from identity.answers import LONGEST_INTERVAL, LONGEST_TOKEN, PRINTABLE, Device, Granted
from identity.credentials import Credentials
from identity.errors import Denied, TryLater
from identity.oauth import REFRESH_TOKEN, OAuthClient
from identity.ports import Clock, Sleep
from identity.secret import Secret
from identity.token_endpoint import TokenEndpoint
from identity.token_rows import Holder
from identity.tokens import GONE, Tokens

Tell: TypeAlias = Callable[[Device], None]

EXPIRED: Final = "expired_token"
ENDED: Final = {
    "access_denied": "The person refused. Nothing was stored; begin again with somebody who may allow it.",
    EXPIRED: "The code ran out before anybody had allowed it. Nothing was stored; begin again.",
    GONE: "The provider no longer knows this code: its answer was lost. Nothing was stored; begin again.",
}


class Consents:
    """The consents of all tenants; `by` is who asks for one, for the audit, `sleep` pauses between polls."""

    def __init__(self, credentials: Credentials, tokens: Tokens, clock: Clock, sleep: Sleep) -> None:
        self._credentials = credentials
        self._tokens = tokens
        self._clock = clock
        self._sleep = sleep

    def by_device(self, holder: Holder, endpoint: TokenEndpoint, tell: Tell, *, by: str) -> None:
        """Keeps what a person grants, once `tell` has said where to enter which code.

        Raises Denied (access_denied and expired_token among its codes) and TryLater, where it did not begin.
        """
        client = self._client(holder)
        known = replace(client, token_endpoint=endpoint.address(client))
        begun = endpoint.begin_device(known)
        ends = self._clock() + timedelta(seconds=begun.expires_in)
        tell(begun)
        interval = max(begun.interval, 1)
        while self._clock() < ends:
            self._sleep(interval)
            decided = self._polled(endpoint, known, begun, interval)
            if isinstance(decided, Granted):
                self._keep(holder, client, decided, by)
                return
            interval = decided
        raise Denied(EXPIRED, ENDED[EXPIRED])

    def adopt(self, holder: Holder, refresh: Secret, *, by: str) -> None:
        """Keeps a refresh token that was obtained elsewhere, and tries it at the first use; raises Denied."""
        self._client(holder)
        text = refresh.reveal()
        if len(text) > LONGEST_TOKEN or not PRINTABLE.fullmatch(text):
            raise Denied(
                "invalid_refresh_token",
                f"A refresh token has 1 to {LONGEST_TOKEN} ASCII characters without spaces and line ends. "
                "Copy it again, alone.",
            )
        self._tokens.adopt(holder, refresh, by=by)

    def _polled(
        self, endpoint: TokenEndpoint, client: OAuthClient, begun: Device, interval: int
    ) -> Granted | int:
        """What was granted, or after how many seconds to ask again: later, if the provider was away (3.5)."""
        try:
            return endpoint.poll_device(client, begun.code, interval)
        except TryLater:
            return min(2 * interval, LONGEST_INTERVAL)
        except Denied as denied:
            raise Denied(denied.code, ENDED.get(denied.code, str(denied))) from denied

    def _keep(self, holder: Holder, client: OAuthClient, granted: Granted, by: str) -> None:
        if granted.refresh is None:
            raise Denied(
                "no_refresh_token",
                "The provider has granted no refresh token, so nothing was stored. Allow the client one "
                "there, or ask for the scope that brings it, and begin again.",
            )
        if self._client(holder) != client:
            raise Denied(
                "changed", "The credential was replaced meanwhile, so nothing was stored. Begin again."
            )
        self._tokens.adopt(holder, granted.refresh, by=by, granted=granted)

    def _client(self, holder: Holder) -> OAuthClient:
        content = self._credentials.opened(holder.tenant_id, holder.credential_id)
        if isinstance(content, OAuthClient) and content.grant == REFRESH_TOKEN:
            return content
        signs = f"grant {content.grant}" if isinstance(content, OAuthClient) else f"kind {content.kind}"
        raise Denied(
            "other_grant",
            f"Its credential ({signs}) needs no consent of a person. Where one is wanted, give it a client "
            f"with the grant {REFRESH_TOKEN} first.",
        )
