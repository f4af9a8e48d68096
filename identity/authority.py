"""The authority: lends a connector the power to sign requests of its own origin, and never the secret itself.

Refuses (Denied) a connector without a credential; what a lent power refuses is said in identity.signing and
identity.intacct.
"""

from __future__ import annotations

from collections.abc import Collection

from identity.audit import Audit
from identity.credentials import Credentials
from identity.errors import Denied
from identity.intacct import IntacctAuth
from identity.kinds import IntacctLogin
from identity.ports import Checkpoints, Clock, Connector, Database, Exchange, Kms
from identity.rotation import Rotation
from identity.signing import OriginAuth, SigningAuth
from identity.vault import Vault


class Authority:
    """All that identity offers, wired: `auth`, `credentials`, `audit` and `keys`; the clock has a zone."""

    def __init__(
        self, database: Database, kms: Kms, clock: Clock, checkpoints: Checkpoints | None = None
    ) -> None:
        vault = Vault(kms)
        self.audit = Audit(database, vault, clock, checkpoints)
        self.keys = Rotation(database, vault, self.audit)
        self.credentials = Credentials(database, vault, self.audit, clock)
        self._clock = clock

    def auth(
        self,
        connector: Connector,
        *,
        exchange: Exchange | None = None,
        company: str | None = None,
        endpoints: Collection[str] = (),
    ) -> OriginAuth:
        """Signs requests of `connector.origin` with its credential as it stands now; raises Denied.

        A kind that logs in first needs `exchange`, which sends its logins. `company` is the company whose
        data is expected, and `endpoints` are hosts that a login may name besides those of its kind.
        """
        if connector.credential_id is None:
            raise Denied("no_credential", f"{connector.key} has no credential yet. Give it one, then repeat.")
        content = self.credentials.opened(connector.tenant_id, connector.credential_id)
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
