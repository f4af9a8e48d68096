"""The audit chain: who connected, replaced, removed, used and rotated what, one chain per tenant.

An entry is canonical JSON (sorted keys, no spaces, UTF-8, no floats) and an HMAC-SHA256 over it and the
entry before it, under a key that is sealed in the vault. It is written in the transaction of what it tells,
so neither exists without the other; whoever writes next waits for that transaction's end. `verify` names the
first entry that was changed, removed or moved. A chain cannot see that its own end was cut off, or that all
of it was replaced: for that it is held against its last checkpoint, which stands outside the database.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeAlias
from uuid import UUID

import psycopg
from psycopg.pq import TransactionStatus

from identity.checkpoints import Checkpoint, signed, verified
from identity.errors import Denied
from identity.ports import Checkpoints, Clock, Database
from identity.queries import queries
from identity.secret import Key, Secret
from identity.transaction import of_tenant
from identity.vault import Place, Sealed, Vault

SQL = queries(__file__)
KEY_BYTES = 32
BATCH = 5_000  # entries fetched at a time
GENESIS = bytes(32)

Fact: TypeAlias = str | int | None
Row: TypeAlias = tuple[int, str, bytes]


@dataclass(frozen=True)
class Verification:
    """What a chain shows: its entries, the last mac (hex), and the first bad entry, if any.

    `fault` is missing (no entry stands there), moved (what stands there was written as another entry),
    changed (its text, its mac or the mac before it is not what was written) or, held against the last
    checkpoint, cut (the chain ends before it) or replaced (the chain is good in itself and another one);
    `sequence` is its number. `checkpoint` is that of the last checkpoint, None where there is none.
    """

    entries: int
    head: str
    sequence: int | None = None
    fault: str | None = None
    checkpoint: int | None = None

    @property
    def intact(self) -> bool:
        """Whether every entry up to the head is what was written."""
        return self.fault is None


@dataclass(frozen=True)
class Entry:
    """One entry as it was written: who did what to which credential (None: to none in particular), when."""

    tenant_id: int
    sequence: int
    at: datetime
    event: str
    credential_id: UUID | None
    by: str
    facts: Mapping[str, Fact]


class Audit:
    """Writes and proves the chains of all tenants; `clock` gives an entry's time, written in UTC."""

    def __init__(
        self, database: Database, vault: Vault, clock: Clock, checkpoints: Checkpoints | None = None
    ) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock
        self._checkpoints = checkpoints

    def tell(
        self,
        connection: psycopg.Connection[Any],
        *,
        tenant_id: int,
        event: str,
        credential_id: UUID | None,
        by: str,
        facts: Mapping[str, Fact],
    ) -> None:
        """Adds an entry in the identity role's transaction that does what it tells; may begin the chain."""
        _lock(connection, tenant_id)
        key = self._key(connection, tenant_id) or self._begin(connection, tenant_id)
        of = None if credential_id is None else str(credential_id)
        self._append(connection, key, tenant_id, {**facts, "event": event, "credential": of, "by": by})

    def record_used(
        self,
        connection: psycopg.Connection[Any],
        *,
        tenant_id: int,
        credential_id: UUID,
        connector: str,
        run: int | None,
        uses: int,
        tokens: Mapping[UUID, int] | None = None,
    ) -> None:
        """Adds the `used` entries of a run (None: a test outside of runs) to the transaction that ends it.

        The connection is the application role's, in a transaction whose app.tenant is this tenant; PostgreSQL
        refuses it otherwise (InsufficientPrivilege), and refuses every other event of that role. `uses`
        counts signed requests (`auth.uses`); where tokens signed them (`auth.tokens`), each has an entry of
        its own with its count. None used, none told. Raises Denied if the tenant has no chain,
        ValueError outside of a transaction.
        """
        if connection.autocommit and connection.info.transaction_status == TransactionStatus.IDLE:
            raise ValueError("the uses of a run are told in the transaction that ends it")
        if uses < 0:
            raise ValueError(f"{uses} uses")
        if uses == 0:
            return
        # Read before the chain is locked: nobody waits for the chain while this second connection is awaited.
        with of_tenant(self._database, tenant_id) as own:
            key = self._key(own, tenant_id)
        if key is None:
            raise Denied(
                "no_chain", f"Tenant {tenant_id} has no audit chain, so no credential can have been used."
            )
        _lock(connection, tenant_id)
        told: dict[str, Fact] = {"event": "used", "credential": str(credential_id)}
        told |= {"by": f"connector {connector}", "connector": connector, "run": run}
        for token, count in tokens.items() if tokens else [(None, uses)]:
            of = {"token": str(token)} if token else {}
            self._append(connection, key, tenant_id, {**told, **of, "uses": count})

    def tell_exported(self, tenant_id: int, *, by: str, since: datetime | None) -> None:
        """Adds the entry of an export of this chain; a tenant without a chain has nothing to export."""
        with of_tenant(self._database, tenant_id) as connection:
            if self._key(connection, tenant_id) is not None:
                facts = {"since": None if since is None else since.isoformat()}
                self.tell(
                    connection, tenant_id=tenant_id, event="exported", credential_id=None, by=by, facts=facts
                )

    def entries(
        self, tenant_id: int, *, since: datetime | None = None, event: str | None = None
    ) -> Iterator[Entry]:
        """The entries of a tenant from this moment on, oldest first, as they were written; not proven."""
        wanted = {"tenant_id": tenant_id, "event": event}
        with of_tenant(self._database, tenant_id) as connection, connection.cursor(name="audit") as cursor:
            cursor.itersize = BATCH
            for sequence, body in cursor.execute(SQL["told"], wanted):
                entry = _entry(tenant_id, sequence, body)
                if since is None or entry.at >= since:
                    yield entry

    def verify(self, tenant_id: int) -> Verification:
        """Reads the whole chain of a tenant, as the identity role, and proves each entry; constant memory.

        Held against the last checkpoint as well, where there is a place for checkpoints.
        """
        with of_tenant(self._database, tenant_id) as connection:
            key = self._key(connection, tenant_id)
            last = self._checkpoints.last(tenant_id) if self._checkpoints else None
            with connection.cursor(name="audit_entries") as cursor:
                cursor.itersize = BATCH
                cursor.execute(SQL["entries"], {"tenant_id": tenant_id})
                return prove(tenant_id, key, cursor, last)

    def checkpoint(self, tenant_id: int) -> Checkpoint | None:
        """Signs where the chain ends now, if anything was added since the last checkpoint.

        Gives the checkpoint, None if none was due or there is no place for them. Raises Denied, and signs
        nothing, if the chain ends before the last checkpoint: a new one would hide that it was cut.
        """
        if self._checkpoints is None:
            return None
        last = self._checkpoints.last(tenant_id)
        with of_tenant(self._database, tenant_id) as connection:
            key = self._key(connection, tenant_id)
            head = connection.execute(SQL["head"], {"tenant_id": tenant_id}).fetchone()
        size = head[0] if head else 0
        before = last.size if last else 0
        if size < before:
            raise Denied(
                "audit_cut",
                f"The audit of tenant {tenant_id} ends at entry {size}, its last checkpoint saw {before}. "
                "Find out who wrote to the schema identity: encours audit verify",
            )
        if key is None or head is None or size == before:
            return None
        made = signed(key, tenant_id, size, bytes(head[1]), self._clock())
        self._checkpoints.add(made)
        return made

    def _append(
        self, connection: psycopg.Connection[Any], key: Key, tenant_id: int, told: Mapping[str, Fact]
    ) -> None:
        head = connection.execute(SQL["head"], {"tenant_id": tenant_id}).fetchone()
        sequence, before = (head[0] + 1, bytes(head[1])) if head else (1, GENESIS)
        at = self._clock().astimezone(UTC).isoformat(timespec="microseconds")
        body = canonical({**told, "at": at, "tenant": tenant_id, "sequence": sequence})
        row = {"tenant_id": tenant_id, "sequence": sequence, "body": body, "mac": mac(key, before, body)}
        connection.execute(SQL["add_entry"], row)

    def _key(self, connection: psycopg.Connection[Any], tenant_id: int) -> Key | None:
        row = connection.execute(SQL["chain_key"], {"tenant_id": tenant_id}).fetchone()
        if row is None:
            return None
        return Key(bytes.fromhex(self._vault.open(_key_place(tenant_id), Sealed(*row)).reveal()))

    def _begin(self, connection: psycopg.Connection[Any], tenant_id: int) -> Key:
        key = Key(secrets.token_bytes(KEY_BYTES))
        sealed = self._vault.seal(connection, _key_place(tenant_id), Secret(key.reveal().hex()))
        row = {
            "tenant_id": tenant_id,
            "key_version": sealed.key_version,
            "wrapped_key": sealed.wrapped_key,
            "chain_key": sealed.ciphertext,
            "begun_at": self._clock(),
        }
        connection.execute(SQL["begin_chain"], row)
        return key


def canonical(entry: Mapping[str, Fact]) -> str:
    """The one JSON text of an entry; raises ValueError for a value whose text is not one and only."""
    for name, value in entry.items():
        if not (value is None or type(value) in (str, int)):
            raise ValueError(
                f"{name}: an audit entry holds texts and whole numbers, not {type(value).__name__}"
            )
    return json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def mac(key: Key, before: bytes, body: str) -> bytes:
    """HMAC-SHA256 (RFC 2104) over the mac of the entry before and this entry's text."""
    return hmac.digest(key.reveal(), before + body.encode("utf-8"), "sha256")


def prove(
    tenant_id: int, key: Key | None, rows: Iterable[Row], last: Checkpoint | None = None
) -> Verification:
    """Proves the entries (sequence, body, mac) of one chain, in their order, up to the first bad one.

    The chain must go through its last checkpoint, if there is one: it is at least as long and has its mac.
    """
    shown, at_checkpoint = _proved(tenant_id, key, rows, last.size if last else 0)
    if last is None:
        return shown
    shown = replace(shown, checkpoint=last.size)
    if not shown.intact:
        return shown
    if shown.entries < last.size:
        return replace(shown, sequence=shown.entries + 1, fault="cut")
    if key is None or at_checkpoint.hex() != last.head or not verified(key, last):
        return replace(shown, sequence=last.size, fault="replaced")
    return shown


def _proved(tenant_id: int, key: Key | None, rows: Iterable[Row], place: int) -> tuple[Verification, bytes]:
    """What the chain shows by itself, and its mac at this place."""
    before, expected, there = GENESIS, 1, GENESIS
    for row in rows:
        fault = "missing" if key is None or row[0] != expected else _fault(key, before, tenant_id, row)
        if fault is not None:
            return Verification(expected - 1, before.hex(), expected, fault), there
        before, expected = row[2], expected + 1
        if row[0] == place:
            there = row[2]
    if key is not None and expected == 1:
        return Verification(0, before.hex(), 1, "missing"), there
    return Verification(expected - 1, before.hex()), there


def _entry(tenant_id: int, sequence: int, body: str) -> Entry:
    told = json.loads(body)
    credential = told.pop("credential", None)
    return Entry(
        tenant_id=tenant_id,
        sequence=sequence,
        at=datetime.fromisoformat(told.pop("at")),
        event=told.pop("event"),
        credential_id=None if credential is None else UUID(credential),
        by=told.pop("by"),
        facts={name: told[name] for name in told if name not in ("tenant", "sequence")},
    )


def _fault(key: Key, before: bytes, tenant_id: int, row: Row) -> str | None:
    sequence, body, stored = row
    try:
        entry = json.loads(body)
        written_as = (entry["tenant"], entry["sequence"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return "changed"
    if written_as != (tenant_id, sequence):
        return "moved"
    return None if hmac.compare_digest(stored, mac(key, before, body)) else "changed"


def _key_place(tenant_id: int) -> Place:
    return Place(tenant_id, "audit_chain", "chain_key")


def _lock(connection: psycopg.Connection[Any], tenant_id: int) -> None:
    connection.execute(SQL["lock_chain"], {"tenant_id": tenant_id})
