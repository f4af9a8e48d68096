"""The stored tokens: one row per credential, its tokens sealed, each change bound to the version it has seen.

Refuses nothing by itself: a change of a row that somebody has changed meanwhile does nothing, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4

import psycopg

from identity.answers import Granted
from identity.errors import Denied
from identity.queries import queries
from identity.secret import Secret
from identity.vault import Place, Sealed, Vault

SQL = queries(__file__)
MARGIN: Final = timedelta(seconds=60)  # a token with less than this left is renewed


class Holder(NamedTuple):
    """Whose token it is."""

    tenant_id: int
    credential_id: UUID


class Fence(NamedTuple):
    """What a row must still be for a change to count."""

    token_id: UUID
    version: int


@dataclass(frozen=True)
class Token:
    """An access token; moments have a zone. It is used until `good_until`, some time before its end."""

    token_id: UUID
    access: Secret
    expires_at: datetime
    good_until: datetime


@dataclass(frozen=True)
class Row:
    """A token as it is stored; `state` is ok, uncertain or needs_consent."""

    token_id: UUID
    version: int
    state: str
    issued_at: datetime | None
    expires_at: datetime | None
    uncertain_since: datetime | None
    attempts: int
    asked_with: str | None
    access: Sealed | None
    refresh: Sealed | None

    @property
    def fence(self) -> Fence:
        """The row as it is."""
        return Fence(self.token_id, self.version)

    @property
    def intended(self) -> Fence:
        """The row as it is once the intent is written."""
        return Fence(self.token_id, self.version + 1)


class TokenRows:
    """Reads and writes the rows, each in a transaction of its caller's for the holder's tenant."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def read(self, connection: psycopg.Connection[Any], holder: Holder, *, hold: bool = False) -> Row | None:
        """The row, None if there is none; `hold`: nobody changes it before this transaction ends."""
        query = SQL["read_and_hold"] if hold else SQL["read"]
        found = connection.execute(query, holder._asdict()).fetchone()
        if found is None:
            return None
        plain, access, refresh = found[:8], found[8:11], found[11:14]
        sealed = (None if part[-1] is None else Sealed(*part) for part in (access, refresh))
        return Row(*plain, *sealed)

    def begun(self, connection: psycopg.Connection[Any], holder: Holder) -> Row:
        """The row, held; made if there was none."""
        connection.execute(SQL["begin"], {**holder._asdict(), "token_id": uuid4()})
        row = self.read(connection, holder, hold=True)
        if row is None:
            raise Denied(
                "no_credential", f"Tenant {holder.tenant_id} has no credential {holder.credential_id}."
            )
        return row

    def token(self, holder: Holder, row: Row) -> Token | None:
        """Its access token opened; None if it has none. Raises Denied if it does not open."""
        if row.access is None or row.issued_at is None or row.expires_at is None:
            return None
        access = self._vault.open(_place(holder, "access_token"), row.access)
        return token_of(row.token_id, access, row.issued_at, row.expires_at)

    def refresh(self, holder: Holder, row: Row) -> Secret | None:
        """Its refresh token opened; None if it has none. Raises Denied if it does not open."""
        return None if row.refresh is None else self._vault.open(_place(holder, "refresh_token"), row.refresh)

    def intend(
        self, connection: psycopg.Connection[Any], holder: Holder, row: Row, digest: str | None, at: datetime
    ) -> None:
        """Writes that the provider is about to be asked with the refresh token of this digest."""
        values = {**holder._asdict(), **row.fence._asdict(), "asked_with": digest, "at": at}
        connection.execute(SQL["intend"], values)

    def settle(
        self, connection: psycopg.Connection[Any], holder: Holder, before: Row, *, needs_consent: bool = False
    ) -> bool:
        """Writes that no token came: all is as it was before the intent, or a person must consent again."""
        values = {
            "state": "needs_consent" if needs_consent else before.state,
            "asked_with": before.asked_with,
            "uncertain_since": None if needs_consent else before.uncertain_since,
            "attempts": before.attempts,
        }
        fence = before.intended._asdict()
        return connection.execute(SQL["settle"], {**holder._asdict(), **fence, **values}).rowcount == 1

    def store(
        self,
        connection: psycopg.Connection[Any],
        holder: Holder,
        fence: Fence,
        *,
        granted: Granted | None,
        refresh: Secret | None,
        at: datetime,
    ) -> UUID | None:
        """Writes new tokens and gives their id; None if somebody else has changed the row.

        Without `granted` there is a refresh token only, and the next use asks for the rest. `at` is the
        moment before the provider was asked.
        """
        values: dict[str, Any] = {"new_id": uuid4(), "issued_at": None, "expires_at": None, "scope": None}
        if granted is not None:
            values |= {"issued_at": at, "expires_at": at + timedelta(seconds=granted.expires_in)}
            values["scope"] = None if granted.scope is None else " ".join(sorted(granted.scope))
        for name, secret in {"access": granted.access if granted else None, "refresh": refresh}.items():
            sealed = self._vault.seal(connection, _place(holder, f"{name}_token"), secret) if secret else None
            values |= {
                f"{name}_key_version": sealed.key_version if sealed else None,
                f"{name}_wrapped_key": sealed.wrapped_key if sealed else None,
                f"{name}_token": sealed.ciphertext if sealed else None,
            }
        done = connection.execute(SQL["store"], {**holder._asdict(), **fence._asdict(), **values})
        return values["new_id"] if done.rowcount == 1 else None

    def forget(self, connection: psycopg.Connection[Any], holder: Holder, fence: Fence) -> bool:
        """Deletes the row; False if somebody has changed it."""
        done = connection.execute(SQL["forget"], {**holder._asdict(), **fence._asdict()})
        return done.rowcount == 1

    def renewable(
        self, connection: psycopg.Connection[Any], tenant_id: int
    ) -> list[tuple[UUID, UUID, datetime | None]]:
        """The tenant's credentials with a refresh token, their tokens' ids, and when each was last used."""
        return connection.execute(SQL["renewable"], {"tenant_id": tenant_id}).fetchall()


def token_of(token_id: UUID, access: Secret, issued_at: datetime, expires_at: datetime) -> Token:
    """The token, used until 60 s before its end, or half of its life if that is shorter."""
    return Token(token_id, access, expires_at, expires_at - min(MARGIN, (expires_at - issued_at) / 2))


def _place(holder: Holder, column: str) -> Place:
    return Place(holder.tenant_id, str(holder.credential_id), column)
