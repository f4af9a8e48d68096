"""The authority: lends a connector the power to sign requests of its own origin, and never the secret itself.

Refuses (Denied) a connector without a credential; what a lent power refuses is said in identity.signing,
identity.intacct and identity.tokens.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from uuid import UUID

from identity.asking import Asking
from identity.audit import Audit
from identity.bearer import OAuthAuth
from identity.consents import Consents
from identity.credentials import Credentials
from identity.errors import Denied
from identity.intacct import IntacctAuth
from identity.inventory import Inventory
from identity.kinds import IntacctLogin
from identity.oauth import OAuthClient
from identity.ports import Checkpoints, Clock, Connector, Database, Exchange, Kms, Passing, Sleep
from identity.revocation import Revocation
from identity.rotation import Rotation
from identity.signing import OriginAuth, SigningAuth
from identity.token_endpoint import TokenEndpoint
from identity.token_rows import Holder, Token
from identity.tokens import Tokens, Wish
from identity.vault import Vault


class Authority:
    """All that identity offers, wired: `auth`, and beside it what its attributes are named after.

    The clock has a zone; `sleep` pauses before a provider is asked again, `passing` is told of each named
    point of a renewal.
    """

    def __init__(
        self,
        database: Database,
        kms: Kms,
        clock: Clock,
        checkpoints: Checkpoints | None = None,
        *,
        sleep: Sleep = time.sleep,
        passing: Passing = lambda _: None,
    ) -> None:
        vault = Vault(kms)
        self.audit = Audit(database, vault, clock, checkpoints)
        self.keys = Rotation(database, vault, self.audit)
        self.credentials = Credentials(database, vault, self.audit, clock)
        self.tokens = Tokens(
            database, vault, self.audit, self.credentials, clock, sleep=sleep, passing=passing
        )
        self.consents = Consents(self.credentials, self.tokens, clock, sleep)
        self.revocation = Revocation(database, vault, self.audit, self.credentials, self.tokens)
        self.inventory = Inventory(database)
        self._clock = clock

    def auth(
        self,
        connector: Connector,
        *,
        exchange: Exchange | None = None,
        asking: Asking | None = None,
        company: str | None = None,
        endpoints: Collection[str] = (),
    ) -> OriginAuth:
        """Signs requests of `connector.origin` with its credential as it stands now; raises Denied.

        A kind that logs in first needs `exchange`, which sends its logins, and one that has tokens `asking`,
        which asks its provider for them, at the first request that is signed. `company` is the company whose
        data is expected, and `endpoints` are hosts that a login may name besides those of its kind.
        """
        if connector.credential_id is None:
            raise Denied("no_credential", f"{connector.key} has no credential yet. Give it one, then repeat.")
        content = self.credentials.opened(connector.tenant_id, connector.credential_id)
        if isinstance(content, OAuthClient):
            return self._bearer(connector, connector.credential_id, asking)
        if not isinstance(content, IntacctLogin):
            return SigningAuth(connector.key, connector.credential_id, connector.origin, content)
        if exchange is None:
            raise Denied("no_exchange", f"{connector.key}: this kind of credential needs a way to log in.")
        if company is not None and company != content.company:
            raise Denied(
                "other_company",
                f"{connector.key} is to read company {company}, and its credential signs in to "
                f"{content.company}. Replace the credential: encours connectors credential {connector.key}",
            )
        return IntacctAuth(
            connector.key,
            connector.credential_id,
            connector.origin,
            content,
            exchange=exchange,
            clock=self._clock,
            endpoints=endpoints,
        )

    def _bearer(self, connector: Connector, credential_id: UUID, asking: Asking | None) -> OAuthAuth:
        if asking is None:
            raise Denied(
                "no_asking", f"{connector.key}: this kind of credential needs a way to ask for tokens."
            )
        holder = Holder(connector.tenant_id, credential_id)
        ask, by = self.asker(asking, connector.origin), f"connector {connector.key}"

        def current(instead_of: UUID | None) -> Token:
            return self.tokens.current(Wish(holder, ask, by, instead_of))

        return OAuthAuth(connector.key, credential_id, connector.origin, current=current, clock=self._clock)

    def asker(self, asking: Asking, origin_url: str) -> TokenEndpoint:
        """The way to ask for tokens that are for the service at this origin, and to revoke them."""
        return TokenEndpoint(asking, self._clock, origin_url)
