"""The end of a token: revoked at its provider (RFC 7009), and forgotten here.

Nobody renews it meanwhile. Refuses to forget a token that the provider could not be told of: it would live on
there, and nobody here would know. Where a provider offers no revocation, it is forgotten, and that is said.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from identity.audit import Audit
from identity.credentials import Credentials
from identity.errors import Denied, TryLater
from identity.oauth import OAuthClient
from identity.ports import Database
from identity.secret import Secret
from identity.token_rows import Holder, Row, TokenRows
from identity.tokens import Tokens
from identity.transaction import of_tenant
from identity.vault import Vault

Revoker: TypeAlias = Callable[[OAuthClient, Secret, str], bool]


class Revocation:
    """Ends tokens of all tenants; `by` is the person who asks, for the audit."""

    def __init__(
        self, database: Database, vault: Vault, audit: Audit, credentials: Credentials, tokens: Tokens
    ) -> None:
        self._database = database
        self._rows = TokenRows(vault)
        self._audit = audit
        self._credentials = credentials
        self._tokens = tokens

    def revoke(self, holder: Holder, revoker: Revoker, *, by: str, reason: str) -> bool | None:
        """Whether the provider was told; None where there was no token. Raises Denied and TryLater.

        `revoker` revokes a token of this kind (refresh_token, access_token), False where that is not offered.
        """
        with self._tokens.alone(holder):
            client = self._credentials.opened(holder.tenant_id, holder.credential_id)
            if not isinstance(client, OAuthClient):
                raise Denied("no_client", "This credential has no token that could be revoked. Replace it.")
            with of_tenant(self._database, holder.tenant_id) as connection:
                row = self._rows.read(connection, holder)
            if row is None or (row.access is None and row.refresh is None):
                return None
            told = [revoker(client, token, kind) for kind, token in self._kept(holder, row)]
            self._forget(holder, row, client, by=by, reason=reason, told=all(told))
        return all(told)

    def _kept(self, holder: Holder, row: Row) -> list[tuple[str, Secret]]:
        """Its tokens, the refresh token first: revoking that may end the other as well."""
        refresh, access = self._rows.refresh(holder, row), self._rows.token(holder, row)
        kept = [("refresh_token", refresh), ("access_token", access.access if access else None)]
        return [(kind, token) for kind, token in kept if token is not None]

    def _forget(
        self, holder: Holder, row: Row, client: OAuthClient, *, by: str, reason: str, told: bool
    ) -> None:
        with of_tenant(self._database, holder.tenant_id) as connection:
            if not self._rows.forget(connection, holder, row.fence):
                raise TryLater(
                    "changed", "The token was changed while it was revoked. Look again, then repeat."
                )
            self._audit.tell(
                connection,
                tenant_id=holder.tenant_id,
                event="revoked",
                credential_id=holder.credential_id,
                by=by,
                facts={
                    "service": client.provider,
                    "subject": client.subject,
                    "token": str(row.token_id),
                    "at_provider": "revoked" if told else "not offered",
                    "reason": reason,
                },
            )
