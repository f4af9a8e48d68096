"""Rotation of keys: under readers' eyes, in batches, resumable, and nothing is lost."""

from __future__ import annotations

import json
import random
import re
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from identity.authority import Authority
from identity.credentials import SQL
from identity.errors import Denied
from identity.kinds import Basic, IntacctLogin
from identity.kms import LocalKms
from identity.rotation import SEALED
from identity.secret import Key, Secret
from identity.vault import Place, Vault

AsRole = Callable[[str, int | None], AbstractContextManager[psycopg.Connection[Any]]]
TENANTS = (1, 2)
CREATE = SQL["create"]
NAMES = re.findall(r"%\((\w+)\)s", CREATE)
# Columns that hold a sealed text: a new one has to be rotated as well.
SEALED_COLUMNS = """
select c.table_name, c.column_name from information_schema.columns c
where c.table_schema = 'identity' and c.data_type = 'bytea'
  and c.column_name not in ('mac') and c.column_name !~ 'wrapped_key'
"""


@pytest.fixture
def credentials(authority: Authority) -> dict[UUID, str]:
    """Ten passwords of two tenants."""
    return {
        authority.credentials.create(1 + n % 2, Basic("U", Secret(f"p{n}")), label=str(n), by="test"): f"p{n}"
        for n in range(10)
    }


def passwords(authority: Authority, credentials: dict[UUID, str]) -> list[str]:
    return [
        authority.credentials.opened(1 + n % 2, credential_id).secret.reveal()
        for n, credential_id in enumerate(credentials)
    ]


def test_every_sealed_column_is_on_the_list(as_role: AsRole) -> None:
    with as_role("encours_owner", None) as connection:
        found = set(connection.execute(SEALED_COLUMNS.encode()).fetchall())
    assert found == {(column.table, column.sealed) for column in SEALED}


def test_all_is_sealed_again_and_opens(
    authority: Authority, credentials: dict[UUID, str], key_file: Path
) -> None:
    login = IntacctLogin("u", Secret("p"), "globex", "s", Secret("sp"))
    both = authority.credentials.create(1, login, label="both", by="test")
    before = authority.keys.current()
    assert authority.keys.versions(TENANTS) == {before: 14}, "ten, two of the login, two chains"
    after = authority.keys.begin()
    assert after != before
    assert sum(authority.keys.seal_again(TENANTS, by="admin")) == 14
    assert authority.keys.versions(TENANTS) == {after: 14}
    assert passwords(authority, credentials) == list(credentials.values())
    opened = authority.credentials.opened(1, both)
    assert isinstance(opened, IntacctLogin)
    assert opened.sender_secret == Secret("sp")
    assert sorted(json.loads(key_file.read_text())["keys"]) == sorted([before, after])
    assert [path.name for path in key_file.parent.iterdir()] == ["key"], "nothing is left beside it"
    entries = [entry for entry in authority.audit.entries(1) if entry.event == "rotated"]
    assert {(e.by, e.facts["key"], e.facts["column"], e.facts["rows"]) for e in entries} == {
        ("admin", after, "secret", 6),
        ("admin", after, "sender_secret", 1),
        ("admin", after, "chain_key", 1),
    }
    assert all(authority.audit.verify(tenant).intact for tenant in TENANTS)


def test_an_interrupted_rotation_goes_on(authority: Authority, credentials: dict[UUID, str]) -> None:
    before = authority.keys.current()
    after = authority.keys.begin()
    assert next(authority.keys.seal_again(TENANTS, by="admin")) == 5
    assert authority.keys.versions(TENANTS) == {before: 7, after: 5}
    assert passwords(authority, credentials) == list(credentials.values())
    assert sum(authority.keys.seal_again(TENANTS, by="admin")) == 7
    assert authority.keys.versions(TENANTS) == {after: 12}


def test_a_row_that_does_not_open_is_named_and_stays(
    authority: Authority, credentials: dict[UUID, str], as_role: AsRole
) -> None:
    broken = str(next(iter(credentials)))
    with as_role("encours_identity", 1) as connection:
        connection.execute(
            "update identity.credential set secret = secret || '\\x00' where credential_id = %s", [broken]
        )
    authority.keys.begin()
    with pytest.raises(Denied, match=broken):
        list(authority.keys.seal_again(TENANTS, by="admin"))


def test_without_the_key_of_old_no_new_one_is_made(
    authority: Authority, credentials: dict[UUID, str], key_file: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    LocalKms(other).wrap(Key(bytes(32)), b"c", ())
    key_file.write_bytes(other.read_bytes())
    content = key_file.read_bytes()
    with pytest.raises(Denied, match="lacks the key"):
        authority.keys.begin()
    assert key_file.read_bytes() == content


def test_two_rotations_at_once_lose_no_key(authority: Authority, key_file: Path) -> None:
    authority.credentials.create(1, Basic("U", Secret("p")), label="a", by="test")
    made: list[str] = []
    threads = [threading.Thread(target=lambda: made.append(authority.keys.begin())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = json.loads(key_file.read_text())
    assert len(set(made)) == 8
    assert set(made) < set(told["keys"])
    assert told["current"] in made


def test_readers_and_writers_notice_nothing(authority: Authority, credentials: dict[UUID, str]) -> None:
    stop, faults, rounds = threading.Event(), list[BaseException](), [0]
    replaced = next(iter(credentials))

    def work() -> None:
        try:
            while not stop.is_set():
                assert passwords(authority, credentials)[1:] == list(credentials.values())[1:]
                authority.credentials.replace(1, replaced, Basic("U", Secret("new")), by="test")
                rounds[0] += 1
        except BaseException as fault:  # noqa: BLE001 - it is told below
            faults.append(fault)

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(5):
        authority.keys.begin()
        list(authority.keys.seal_again(TENANTS, by="admin"))
    stop.set()
    thread.join()
    assert not faults
    assert rounds[0] > 0
    assert authority.keys.versions(TENANTS).keys() == {authority.keys.current()}


@pytest.mark.long
@pytest.mark.timeout(900)
def test_twenty_thousand_rows_are_sealed_again_while_they_are_read(
    authority: Authority, as_role: AsRole, kms: LocalKms
) -> None:
    ids = [UUID(int=n) for n in range(1, 20_001)]
    with as_role("encours_identity", 1) as connection, connection.cursor() as cursor:
        vault = Vault(kms)
        cursor.executemany(CREATE, [sealed(vault, connection, credential_id) for credential_id in ids])
    before, stop, faults, reads = authority.keys.current(), threading.Event(), list[BaseException](), [0, 0]

    def read(reader: int) -> None:
        chosen = random.Random(reader)
        try:
            while not stop.is_set():
                credential_id = chosen.choice(ids)
                assert authority.credentials.opened(1, credential_id).secret == Secret(f"p{credential_id}")
                reads[reader] += 1
        except BaseException as fault:  # noqa: BLE001 - it is told below
            faults.append(fault)

    threads = [threading.Thread(target=read, args=[reader]) for reader in range(2)]
    for thread in threads:
        thread.start()
    after = authority.keys.begin()
    sealed_again = sum(authority.keys.seal_again([1], by="admin"))
    stop.set()
    for thread in threads:
        thread.join()
    assert not faults
    assert min(reads) > 100
    assert (before != after, sealed_again) == (True, len(ids))
    assert authority.keys.versions([1]) == {after: len(ids) + 1}, (
        "and the key of the audit's chain, new as well"
    )


def sealed(vault: Vault, connection: psycopg.Connection[Any], credential_id: UUID) -> dict[str, Any]:
    """A row of a password that is told by its id; what a password does not have is null."""
    place = Place(1, str(credential_id), "secret")
    text = vault.seal(connection, place, Secret(f"p{credential_id}"))
    row: dict[str, Any] = dict.fromkeys(NAMES)
    row |= {"credential_id": credential_id, "tenant_id": 1, "kind": "basic", "label": "many", "subject": "U"}
    row |= {"key_version": text.key_version, "wrapped_key": text.wrapped_key, "secret": text.ciphertext}
    return row | {"at": datetime.now(UTC), "by": "test"}
