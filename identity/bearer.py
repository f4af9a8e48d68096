"""Bearer tokens in a header (RFC 6750, 2.1): kept while good, renewed before they end and once on 401."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from uuid import UUID

from requests import PreparedRequest

from identity.ports import Clock
from identity.secret import Secret
from identity.signing import OriginAuth
from identity.token_rows import Token

SCHEME = "Bearer "


class OAuthAuth(OriginAuth):
    """Signs with the credential's token; `current` gives it, another one in place of a token's id."""

    def __init__(
        self,
        connector: str,
        credential_id: UUID,
        origin_url: str,
        *,
        current: Callable[[UUID | None], Token],
        clock: Clock,
    ) -> None:
        super().__init__(connector, credential_id, origin_url)
        self._current = current
        self._clock = clock
        self._token: Token | None = None
        self._used: Counter[UUID] = Counter()

    @property
    def tokens(self) -> Mapping[UUID, int]:
        """How many requests each token has signed so far, by its id, in the order of their first use."""
        with self._counting:
            return dict(self._used)

    def obtained(self) -> Token:
        """The token that signs now; asked for if there is none that is good. Raises as `renew` does."""
        token = self._token
        if token is None or self._clock() >= token.good_until:
            token = self._token = self._current(None)
        return token

    def renew(self, request: PreparedRequest) -> bool:
        """Gets another token in place of the one that signed this request, unless that was done already.

        Raises NeedsConsent, TryLater and Denied.
        """
        signed = Secret(str(request.headers.get("Authorization", "")).removeprefix(SCHEME))
        token = self._token
        if token is not None and token.access == signed:
            self._token = self._current(token.token_id)
        return True

    def _sign(self, request: PreparedRequest) -> PreparedRequest:
        token = self.obtained()
        request.headers["Authorization"] = SCHEME + token.access.reveal()
        with self._counting:
            self._used[token.token_id] += 1
        return request
