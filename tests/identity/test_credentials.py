"""Credentials: what goes in, what comes out, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from identity.authority import Authority
from identity.errors import Denied
from identity.kinds import ApiKey, Basic
from identity.secret import Secret

AsRole = Callable[[str, int | None], AbstractContextManager[psycopg.Connection[Any]]]


def events(as_role: AsRole, tenant_id: int) -> list[tuple[str, UUID, str]]:
    with as_role("encours_auditor", tenant_id) as connection:
        return connection.execute(
            "select event, credential_id, body::jsonb ->> 'by' from identity.audit_entry order by sequence"
        ).fetchall()


def test_create_describe_replace_remove_and_each_is_told(authority: Authority, as_role: AsRole) -> None:
    credentials = authority.credentials
    made = credentials.create(
        1,
        Basic("ENCOURS", Secret("päss wörd €")),
        label="Acme S/4",
        by="ann",
        owner="Treasury",
        purpose="reads items",
    )
    described = credentials.describe(1, made)
    assert (described.kind, described.subject, described.header) == ("basic", "ENCOURS", None)
    assert (described.label, described.owner, described.purpose) == ("Acme S/4", "Treasury", "reads items")
    assert (described.created_by, described.replaced_at, described.replaced_by) == ("ann", None, None)
    assert described.created_at.isoformat() == "2026-11-24T12:00:00+00:00"

    credentials.replace(1, made, ApiKey("APIKey", Secret("k-1")), by="bob")
    replaced = credentials.describe(1, made)
    assert (replaced.kind, replaced.subject, replaced.header) == ("api_key", None, "APIKey")
    assert (replaced.created_by, replaced.replaced_by) == ("ann", "bob")
    assert credentials.opened(1, made) == ApiKey("APIKey", Secret("k-1"))

    credentials.remove(1, made, by="cleo")
    assert credentials.descriptions(1) == []
    assert events(as_role, 1) == [
        ("connected", made, "ann"),
        ("replaced", made, "bob"),
        ("removed", made, "cleo"),
    ]


def test_descriptions_are_the_tenants_own_by_label(authority: Authority) -> None:
    for tenant_id, label in [(1, "b"), (2, "z"), (1, "a")]:
        authority.credentials.create(tenant_id, Basic("U", Secret("p")), label=label, by="test")
    assert [one.label for one in authority.credentials.descriptions(1)] == ["a", "b"]
    assert [one.label for one in authority.credentials.descriptions(2)] == ["z"]
    assert authority.credentials.descriptions(3) == []


def test_a_description_has_no_place_for_a_secret(authority: Authority) -> None:
    made = authority.credentials.create(1, Basic("U", Secret("canary-1")), label="a", by="test")
    described = asdict(authority.credentials.describe(1, made))
    assert not described.keys() & {"secret", "wrapped_key", "password", "key"}
    assert "canary-1" not in repr(described)


def test_another_tenants_credential_does_not_exist(authority: Authority) -> None:
    made = authority.credentials.create(1, Basic("U", Secret("p")), label="a", by="test")
    uses: list[Callable[[int, UUID], object]] = [
        authority.credentials.describe,
        authority.credentials.opened,
        lambda tenant, one: authority.credentials.replace(tenant, one, Basic("U", Secret("q")), by="eve"),
        lambda tenant, one: authority.credentials.remove(tenant, one, by="eve"),
    ]
    for use in uses:
        for tenant_id, credential_id in [(2, made), (1, uuid4())]:
            with pytest.raises(Denied, match="has no credential") as raised:
                use(tenant_id, credential_id)
            assert raised.value.code == "no_credential"
    assert authority.credentials.opened(1, made) == Basic("U", Secret("p"))


def test_what_is_refused_leaves_no_trace(authority: Authority, as_role: AsRole) -> None:
    with pytest.raises(Denied):
        authority.credentials.replace(1, uuid4(), Basic("U", Secret("q")), by="eve")
    assert events(as_role, 1) == []
    assert authority.audit.verify(1).entries == 0


def test_no_entry_no_credential(authority: Authority, as_role: AsRole) -> None:
    """The credential and its audit entry are one transaction: if the entry fails, nothing is stored."""
    with as_role("encours_owner", None) as connection:
        connection.execute("revoke insert (body) on identity.audit_entry from encours_identity")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        authority.credentials.create(1, Basic("U", Secret("p")), label="a", by="test")
    assert authority.credentials.descriptions(1) == []


def test_the_same_secret_twice_is_two_different_rows(authority: Authority, as_role: AsRole) -> None:
    for label in ("a", "b"):
        authority.credentials.create(1, Basic("U", Secret("same")), label=label, by="test")
    with as_role("encours_identity", 1) as connection:
        rows = connection.execute("select secret from identity.credential").fetchall()
    assert len({bytes(secret) for (secret,) in rows}) == 2


@pytest.mark.parametrize("field", ["label", "by", "owner", "purpose"])
def test_texts_that_cannot_be_shown_are_refused(authority: Authority, field: str) -> None:
    for text in ("", " ", "a\nb", "a\x00", "x" * 201, "\ud800", "a\u202eb"):
        texts = {"label": "a", "by": "test", field: text}
        with pytest.raises(Denied, match=field) as raised:
            authority.credentials.create(1, Basic("U", Secret("p")), **texts)
        assert raised.value.code == "invalid_text"
    assert authority.credentials.descriptions(1) == []


@pytest.mark.parametrize("user", ["", "a:b", "a\r\nX: y", "a\x7f", "\ud800", "u" * 256])
def test_user_names_that_cannot_be_sent(user: str) -> None:
    with pytest.raises(Denied, match="RFC 7617") as raised:
        Basic(user, Secret("p"))
    assert raised.value.code == "invalid_user_name"


@pytest.mark.parametrize(
    "password", ["", "canary\n", "canary\r\nX: y", "canary\x00", "canary\ud800", "c" * 16_385]
)
def test_passwords_that_cannot_be_sent(password: str) -> None:
    with pytest.raises(Denied, match="RFC 7617") as raised:
        Basic("U", Secret(password))
    assert raised.value.code == "invalid_password"
    assert "canary" not in str(raised.value)


@pytest.mark.parametrize(
    "header", ["", "A B", "A:", "A\r\nB", "Höst", "Host", "content-LENGTH", "Cookie", "x" * 101]
)
def test_headers_that_cannot_hold_a_key(header: str) -> None:
    with pytest.raises(Denied) as raised:
        ApiKey(header, Secret("k"))
    assert raised.value.code == "invalid_header"


@pytest.mark.parametrize(
    "key", ["", " ", " canary", "canary ", "canary\n", "canary\r\nX: y", "canaryé", "c" * 16_385]
)
def test_keys_that_cannot_be_sent(key: str) -> None:
    with pytest.raises(Denied) as raised:
        ApiKey("APIKey", Secret(key))
    assert raised.value.code == "invalid_api_key"
    assert "canary" not in str(raised.value)


def test_keys_with_a_scheme_and_of_one_character_are_accepted() -> None:
    assert ApiKey("Authorization", Secret("Bearer abc")).secret.reveal() == "Bearer abc"
    assert ApiKey("X-API-Key", Secret("k")).header == "X-API-Key"
