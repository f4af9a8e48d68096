"""The vault: seals secrets so that a copy of the database shows none, and a row opens only in its own place.

Envelope encryption: each row has a random data key, wrapped by a key version of the key service. Both layers
are AES-256-GCM with the row's place as associated data. Refuses (Denied) a row that was changed, cut, copied
or swapped with another, and never says more about it than its place.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import psycopg
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from identity.errors import Denied
from identity.ports import Kms, Wrapped
from identity.queries import queries
from identity.secret import Key, Secret

SQL = queries(__file__)
KEY_BYTES = 32
NONCE_BYTES = 12


@dataclass(frozen=True)
class Place:
    """Where a sealed value stands: its tenant, the id of its row and its column."""

    tenant_id: int
    row: str
    column: str

    def context(self) -> bytes:
        """The associated data: unambiguous, for neither ids nor column names hold a bar."""
        return f"encours|{self.tenant_id}|{self.row}|{self.column}".encode()


@dataclass(frozen=True)
class Sealed:
    """What the database keeps of a secret: nothing readable without the key service."""

    key_version: str
    wrapped_key: bytes
    ciphertext: bytes


class Vault:
    """Seals and opens secrets with the keys of one key service."""

    def __init__(self, kms: Kms) -> None:
        self._kms = kms

    def seal(self, connection: psycopg.Connection[Any], place: Place, secret: Secret) -> Sealed:
        """Seals for this place; the connection is that of the transaction which stores the result.

        The key version is noted in the same transaction, so that the key service can refuse to start anew
        once anything is sealed. Raises Denied for the key service's reasons.
        """
        known = self._known(connection)
        data_key = Key(secrets.token_bytes(KEY_BYTES))
        version, wrapped_key = self._kms.wrap(data_key, _key_place(place).context(), known)
        connection.execute(SQL["note_key_version"], {"version": version})
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = AESGCM(data_key.reveal()).encrypt(nonce, secret.reveal().encode(), _bound(place, version))
        return Sealed(version, wrapped_key, nonce + sealed)

    def current(self) -> str:
        """The key version that seals from now on."""
        return self._kms.current()

    def rotate(self, connection: psycopg.Connection[Any]) -> str:
        """Makes a new key the current one and gives its version; sealed rows open as before."""
        version = self._kms.rotate(self._known(connection))
        # At once: of two transactions that note it first, one would wait for the other with rows locked.
        connection.execute(SQL["note_key_version"], {"version": version})
        return version

    def _known(self, connection: psycopg.Connection[Any]) -> list[str]:
        return [version for (version,) in connection.execute(SQL["key_versions"])]

    def open(self, place: Place, sealed: Sealed) -> Secret:
        """The secret that was sealed for this place; raises Denied if the row is not what was written."""
        wrapped = Wrapped(sealed.key_version, sealed.wrapped_key)
        nonce, text = sealed.ciphertext[:NONCE_BYTES], sealed.ciphertext[NONCE_BYTES:]
        try:
            cipher = AESGCM(self._kms.unwrap(wrapped, _key_place(place).context()).reveal())
            return Secret(cipher.decrypt(nonce, text, _bound(place, sealed.key_version)).decode())
        except Denied as denied:
            if denied.code == "sealed_changed":
                raise _changed(place) from None
            raise
        except (InvalidTag, ValueError):
            raise _changed(place) from None


def _changed(place: Place) -> Denied:
    return Denied(
        "sealed_changed",
        f"The sealed {place.column} of {place.row} (tenant {place.tenant_id}) does not open: its row "
        "was changed, cut or copied from another place. Find out who wrote to the schema identity, then "
        "enter the secret again.",
    )


def _key_place(place: Place) -> Place:
    return Place(place.tenant_id, place.row, "wrapped_key")


def _bound(place: Place, version: str) -> bytes:
    return place.context() + b"|" + version.encode()
