"""The vault on a real table: a row opens only where, and only as, it was written."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from identity.authority import Authority
from identity.errors import Denied
from identity.kinds import Basic
from identity.kms import LocalKms
from identity.secret import Secret
from identity.vault import Place, Vault

AsRole = Callable[[str, int | None], AbstractContextManager[psycopg.Connection[Any]]]

FIRST = "first-password"


@pytest.fixture
def first(authority: Authority) -> UUID:
    return authority.credentials.create(1, Basic("ENCOURS", Secret(FIRST)), label="first", by="test")


@pytest.fixture
def second(authority: Authority) -> UUID:
    return authority.credentials.create(1, Basic("ENCOURS", Secret("second")), label="second", by="test")


@pytest.fixture
def elsewhere(authority: Authority) -> UUID:
    return authority.credentials.create(2, Basic("ENCOURS", Secret("elsewhere")), label="other", by="test")


@pytest.fixture
def tamper(as_role: AsRole) -> Callable[..., None]:
    """What somebody with the owner's rights could do: policies put aside."""

    def run(query: str, **values: object) -> None:
        with as_role("encours_owner", None) as connection:
            connection.execute("alter table identity.credential no force row level security")
            assert connection.execute(query, values).rowcount > 0
            connection.execute("alter table identity.credential force row level security")

    return run


CHANGES = {
    "one bit": "set secret = set_byte(mine.secret, 20, get_byte(mine.secret, 20) # 1)",
    "nonce": "set secret = set_byte(mine.secret, 0, get_byte(mine.secret, 0) # 1)",
    "cut": "set secret = substr(mine.secret, 1, octet_length(mine.secret) - 1)",
    "cut to the nonce": "set secret = substr(mine.secret, 1, 12)",
    "cut below the nonce": "set secret = substr(mine.secret, 1, 5)",
    "empty": "set secret = ''",
    "longer": "set secret = mine.secret || '\\x00'",
    "wrapped key": "set wrapped_key = set_byte(mine.wrapped_key, 20, get_byte(mine.wrapped_key, 20) # 1)",
    "no wrapped key": "set wrapped_key = ''",
    "other tenant": "set tenant_id = 2",
    "swapped secret": "set secret = other.secret",
    "swapped wrapped key": "set wrapped_key = other.wrapped_key",
    "whole row copied": "set secret = other.secret, wrapped_key = other.wrapped_key",
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_row_does_not_open(
    authority: Authority, first: UUID, second: UUID, tamper: Callable[..., None], change: str
) -> None:
    tamper(
        f"update identity.credential mine {CHANGES[change]} from identity.credential other "
        "where mine.credential_id = %(mine)s and other.credential_id = %(other)s",
        mine=first,
        other=second,
    )
    tenant_id = 2 if change == "other tenant" else 1
    with pytest.raises(Denied, match="does not open") as raised:
        authority.credentials.opened(tenant_id, first)
    assert raised.value.code == "sealed_changed"
    assert str(first) in str(raised.value)
    assert FIRST not in str(raised.value)
    assert authority.credentials.opened(1, second).secret == Secret("second"), "its neighbour still opens"


def test_a_row_copied_from_another_tenant_does_not_open(
    authority: Authority, first: UUID, elsewhere: UUID, tamper: Callable[..., None]
) -> None:
    tamper(
        "update identity.credential mine set secret = other.secret, wrapped_key = other.wrapped_key, "
        "key_version = other.key_version from identity.credential other "
        "where mine.credential_id = %(mine)s and other.credential_id = %(other)s",
        mine=first,
        other=elsewhere,
    )
    with pytest.raises(Denied, match="does not open"):
        authority.credentials.opened(1, first)


def test_each_row_has_its_own_data_key(as_role: AsRole, first: UUID, second: UUID) -> None:
    with as_role("encours_identity", 1) as connection:
        rows = connection.execute("select wrapped_key, secret from identity.credential").fetchall()
    assert len({bytes(wrapped) for wrapped, _ in rows}) == 2
    assert all(len(wrapped) == 12 + 32 + 16 for wrapped, _ in rows)


def test_a_column_copied_within_its_row_does_not_open(kms: LocalKms, as_role: AsRole) -> None:
    """The columns of a row share its data key: only the associated data keeps them apart."""
    vault = Vault(kms)
    with as_role("encours_identity", 1) as connection:
        sealed = vault.seal(connection, Place(1, "row", "access_token"), Secret(FIRST))
    assert vault.open(Place(1, "row", "access_token"), sealed) == Secret(FIRST)
    with pytest.raises(Denied, match=r"The sealed refresh_token of row .* does not open"):
        vault.open(Place(1, "row", "refresh_token"), sealed)


def test_sealing_notes_its_key_version_and_a_lost_file_stops_all(
    authority: Authority, as_role: AsRole, first: UUID, key_file: Path
) -> None:
    with as_role("encours_identity", None) as connection:
        versions = connection.execute("select version from identity.key_version").fetchall()
    assert len(versions) == 1
    kept = key_file.read_bytes()
    key_file.unlink()
    with pytest.raises(Denied, match="is gone"):
        authority.credentials.opened(1, first)
    # A tenant that has nothing sealed must not begin anew either: the file is the installation's.
    with pytest.raises(Denied, match="is gone"):
        authority.credentials.create(3, Basic("ENCOURS", Secret("third")), label="third", by="test")
    assert not key_file.exists()
    key_file.write_bytes(kept)
    key_file.chmod(0o600)
    assert authority.credentials.opened(1, first).secret == Secret(FIRST)


def test_a_rolled_back_first_use_leaves_a_usable_installation(
    authority: Authority, as_role: AsRole, key_file: Path
) -> None:
    with as_role("encours_owner", None) as connection:
        connection.execute("alter table identity.credential rename column label to label_")
    with pytest.raises(psycopg.errors.UndefinedColumn):
        authority.credentials.create(1, Basic("ENCOURS", Secret(FIRST)), label="first", by="test")
    with as_role("encours_owner", None) as connection:
        connection.execute("alter table identity.credential rename column label_ to label")
        assert connection.execute("select count(*) from identity.key_version").fetchone() == (0,)
    made = authority.credentials.create(1, Basic("ENCOURS", Secret(FIRST)), label="first", by="test")
    assert authority.credentials.opened(1, made).secret == Secret(FIRST)
