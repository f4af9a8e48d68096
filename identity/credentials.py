"""Credentials, each with an id of its own; several connectors may share one.

They are made, replaced, described and removed here. What comes out are descriptions: only the authority opens
a secret, to sign with it. Each change and its audit entry are one transaction. Refuses (Denied) ids that the
tenant does not have, and texts that cannot be shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from identity.audit import Audit
from identity.errors import Denied
from identity.kinds import IntacctLogin, Material, Stored, material
from identity.oauth import OAuthClient
from identity.ports import Clock, Database
from identity.queries import queries
from identity.secret import Secret
from identity.transaction import of_tenant
from identity.vault import Place, Sealed, Vault

SQL = queries(__file__)
LONGEST_TEXT = 200
SHOWN = ("subject", "header", "company", "sender")  # what kinds are made of besides secrets


@dataclass(frozen=True)
class Description:
    """What may be shown of a credential: `subject` is the user name or client id, `header` an API key's.

    `company` and `sender` are those of a login at Sage Intacct, `facts` those of an OAuth client.
    """

    credential_id: UUID
    tenant_id: int
    kind: str
    label: str
    owner: str | None
    purpose: str | None
    subject: str | None
    header: str | None
    company: str | None
    sender: str | None
    facts: Mapping[str, Any] | None
    created_at: datetime
    created_by: str
    replaced_at: datetime | None
    replaced_by: str | None


class Credentials:
    """The credentials of all tenants; `by` is always the person or program that asks, for the audit."""

    def __init__(self, database: Database, vault: Vault, audit: Audit, clock: Clock) -> None:
        self._database = database
        self._vault = vault
        self._audit = audit
        self._clock = clock

    def create(
        self,
        tenant_id: int,
        content: Material,
        *,
        label: str,
        by: str,
        owner: str | None = None,
        purpose: str | None = None,
    ) -> UUID:
        """Seals a new credential and gives its id; raises Denied for a text it refuses or a lost key file."""
        texts = {"label": label, "by": by, "owner": owner, "purpose": purpose}
        for name, text in texts.items():
            _check_text(name, text)
        credential_id = uuid4()
        with of_tenant(self._database, tenant_id) as connection:
            row = self._sealed(connection, tenant_id, credential_id, content)
            connection.execute(SQL["create"], {**row, **texts, "at": self._clock()})
            self._tell(connection, "connected", row, by, {"label": label})
        return credential_id

    def replace(self, tenant_id: int, credential_id: UUID, content: Material, *, by: str) -> None:
        """Puts another secret, user name or kind in its place; its connectors sign with it from now on."""
        _check_text("by", by)
        with of_tenant(self._database, tenant_id) as connection:
            row = self._sealed(connection, tenant_id, credential_id, content)
            if connection.execute(SQL["replace"], {**row, "by": by, "at": self._clock()}).rowcount == 0:
                raise _unknown(tenant_id, credential_id)
            # A token that was got with another secret, or for another client, is not this credential's.
            connection.execute(SQL["end_token"], _key(tenant_id, credential_id))
            self._tell(connection, "replaced", row, by, {})

    def assign(
        self, tenant_id: int, credential_id: UUID, *, owner: str | None, purpose: str | None, by: str
    ) -> None:
        """Says who answers for it and what it is for; None leaves what was said. Its secret stays."""
        texts = {"by": by, "owner": owner, "purpose": purpose}
        for name, text in texts.items():
            _check_text(name, text)
        with of_tenant(self._database, tenant_id) as connection:
            if connection.execute(SQL["assign"], {**_key(tenant_id, credential_id), **texts}).rowcount == 0:
                raise _unknown(tenant_id, credential_id)
            self._audit.tell(
                connection,
                tenant_id=tenant_id,
                event="assigned",
                credential_id=credential_id,
                by=by,
                facts={"owner": owner, "purpose": purpose},
            )

    def remove(self, tenant_id: int, credential_id: UUID, *, by: str) -> None:
        """Deletes it; the audit keeps what was told of it. Ask the registry first who still signs with it."""
        _check_text("by", by)
        with of_tenant(self._database, tenant_id) as connection:
            described = self._described(connection, tenant_id, credential_id)
            if connection.execute(SQL["remove"], _key(tenant_id, credential_id)).rowcount == 0:
                raise _unknown(tenant_id, credential_id)
            row = {"tenant_id": tenant_id, "credential_id": credential_id, "kind": described.kind}
            row |= {name: getattr(described, name) for name in SHOWN}
            self._tell(connection, "removed", row, by, {"label": described.label})

    def describe(self, tenant_id: int, credential_id: UUID) -> Description:
        """What may be shown of it."""
        with of_tenant(self._database, tenant_id) as connection:
            return self._described(connection, tenant_id, credential_id)

    def descriptions(self, tenant_id: int) -> list[Description]:
        """What may be shown of all credentials of a tenant, by label."""
        described = class_row(Description)
        with (
            of_tenant(self._database, tenant_id) as connection,
            connection.cursor(row_factory=described) as cursor,
        ):
            return cursor.execute(SQL["descriptions"], {"tenant_id": tenant_id}).fetchall()

    def opened(self, tenant_id: int, credential_id: UUID) -> Material:
        """The credential with its secret, for the authority alone; raises Denied if it does not open."""
        with of_tenant(self._database, tenant_id) as connection:
            row = connection.execute(SQL["sealed"], _key(tenant_id, credential_id)).fetchone()
        if row is None:
            raise _unknown(tenant_id, credential_id)
        kind, subject, header, company, sender, facts = row[:6]
        secret = self._vault.open(_place(tenant_id, credential_id), Sealed(*row[6:9]))
        second = None
        if row[9] is not None:
            place = _place(tenant_id, credential_id, "sender_secret")
            second = self._vault.open(place, Sealed(*row[9:12]))
        return material(Stored(kind, subject, header, company, sender, facts, secret, second))

    def _sealed(
        self, connection: psycopg.Connection[Any], tenant_id: int, credential_id: UUID, content: Material
    ) -> dict[str, Any]:
        sealed = self._vault.seal(connection, _place(tenant_id, credential_id), content.secret)
        row = {
            "tenant_id": tenant_id,
            "credential_id": credential_id,
            "kind": content.kind,
            **{name: getattr(content, name, None) for name in SHOWN},
            "facts": Jsonb(content.facts()) if isinstance(content, OAuthClient) else None,
            "key_version": sealed.key_version,
            "wrapped_key": sealed.wrapped_key,
            "secret": sealed.ciphertext,
            "sender_key_version": None,
            "sender_wrapped_key": None,
            "sender_secret": None,
        }
        second = _second_secret(content)
        if second is not None:
            place = _place(tenant_id, credential_id, "sender_secret")
            sealed = self._vault.seal(connection, place, second)
            row |= {
                "sender_key_version": sealed.key_version,
                "sender_wrapped_key": sealed.wrapped_key,
                "sender_secret": sealed.ciphertext,
            }
        return row

    def _described(
        self, connection: psycopg.Connection[Any], tenant_id: int, credential_id: UUID
    ) -> Description:
        with connection.cursor(row_factory=class_row(Description)) as cursor:
            found = cursor.execute(SQL["describe"], _key(tenant_id, credential_id)).fetchone()
        if found is None:
            raise _unknown(tenant_id, credential_id)
        return found

    def _tell(
        self,
        connection: psycopg.Connection[Any],
        event: str,
        row: dict[str, Any],
        by: str,
        facts: dict[str, str],
    ) -> None:
        shown = {name: row[name] for name in ("kind", *SHOWN) if row[name] is not None}
        self._audit.tell(
            connection,
            tenant_id=row["tenant_id"],
            event=event,
            credential_id=row["credential_id"],
            by=by,
            facts={**shown, **facts},
        )


def _second_secret(content: Material) -> Secret | None:
    if isinstance(content, IntacctLogin):
        return content.sender_secret
    return content.assertion_key if isinstance(content, OAuthClient) else None


def _check_text(name: str, text: str | None) -> None:
    if text is not None and not (1 <= len(text) <= LONGEST_TEXT and text.isprintable() and text.strip()):
        raise Denied("invalid_text", f"{name}: 1 to {LONGEST_TEXT} printable characters are asked for.")


def _key(tenant_id: int, credential_id: UUID) -> dict[str, Any]:
    return {"tenant_id": tenant_id, "credential_id": credential_id}


def _place(tenant_id: int, credential_id: UUID, column: str = "secret") -> Place:
    return Place(tenant_id, str(credential_id), column)


def _unknown(tenant_id: int, credential_id: UUID) -> Denied:
    return Denied(
        "no_credential", f"Tenant {tenant_id} has no credential {credential_id}. It may have been removed."
    )
