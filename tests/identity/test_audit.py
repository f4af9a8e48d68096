"""The audit chain: with what it tells or not at all, in one order, and every later change is named."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.audit import GENESIS, Verification, canonical, mac, prove
from identity.authority import Authority
from identity.errors import Denied
from identity.kinds import Basic
from identity.secret import Key, Secret

AsRole = Callable[[str, int | None], AbstractContextManager[psycopg.Connection[Any]]]
Row = tuple[int, str, bytes]

KEY = Key(bytes(range(32)))
FACTS = st.dictionaries(
    st.text(st.characters(codec="utf-8"), max_size=8),
    st.one_of(st.text(st.characters(codec="utf-8")), st.integers(), st.none()),
    max_size=6,
)


def chain(length: int, tenant_id: int = 1) -> list[Row]:
    rows: list[Row] = []
    before = GENESIS
    for sequence in range(1, length + 1):
        body = canonical({"tenant": tenant_id, "sequence": sequence, "event": "used", "run": sequence * 10})
        before = mac(KEY, before, body)
        rows.append((sequence, body, before))
    return rows


@given(FACTS)
def test_canonical_is_exact_and_has_one_order(facts: dict[str, str | int | None]) -> None:
    text = canonical(facts)
    assert json.loads(text) == facts
    assert canonical(dict(reversed(facts.items()))) == text


@pytest.mark.parametrize("value", [1.0, True, ["a"], {"a": 1}, b"a", Secret("canary")])
def test_canonical_refuses_what_has_no_single_text(value: Any) -> None:
    with pytest.raises(ValueError, match="field: an audit entry holds") as raised:
        canonical({"field": value})
    assert "canary" not in str(raised.value)


def test_an_intact_chain_is_proven_and_none_at_all_too() -> None:
    rows = chain(5)
    assert prove(1, KEY, rows) == Verification(5, rows[-1][2].hex())
    assert prove(1, None, []) == Verification(0, GENESIS.hex())


@given(st.integers(2, 8), st.data())
def test_the_first_bad_entry_is_named(length: int, data: st.DataObject) -> None:
    rows = chain(length)
    at = data.draw(st.integers(0, length - 1))
    sequence, body, stored = rows[at]
    kind = data.draw(st.sampled_from(["changed", "mac", "missing", "swapped", "renumbered", "foreign"]))
    if kind == "changed":
        rows[at] = (sequence, body.replace("used", "test"), stored)
    elif kind == "mac":
        rows[at] = (sequence, body, bytes([stored[0] ^ 1]) + stored[1:])
    elif kind == "missing":
        at = min(at, length - 2)
        del rows[at]
    elif kind == "swapped":
        at = min(at, length - 2)
        (one, *first), (two, *second) = rows[at], rows[at + 1]
        rows[at], rows[at + 1] = (one, *second), (two, *first)  # type: ignore[assignment]
    elif kind == "renumbered":
        at = min(at, length - 2)
        del rows[at]
        rows = [(number, *rest) for number, (_, *rest) in enumerate(rows, 1)]  # type: ignore[misc]
    else:
        rows[at] = chain(length, tenant_id=2)[at]
    expected = {"mac": "changed", "swapped": "moved", "renumbered": "moved", "foreign": "moved"}.get(
        kind, kind
    )
    shown = prove(1, KEY, rows)
    assert (shown.sequence, shown.fault, shown.entries) == (at + 1, expected, at)
    assert not shown.intact


def test_an_entry_of_a_discarded_past_breaks_the_link_after_it() -> None:
    """Its own mac is good: only that each mac covers the one before shows that it does not belong here."""
    rows = chain(4)
    body = canonical({"tenant": 1, "sequence": 2, "event": "used", "run": 99})
    rows[1] = (2, body, mac(KEY, rows[0][2], body))
    shown = prove(1, KEY, rows)
    assert (shown.entries, shown.sequence, shown.fault) == (2, 3, "changed")


def test_without_its_key_or_without_its_entries_a_chain_is_bad() -> None:
    assert prove(1, None, chain(2)).fault == "missing"
    assert prove(1, KEY, []).fault == "missing"
    assert prove(1, Key(bytes(32)), chain(2)).sequence == 1


def test_a_text_that_is_no_entry_is_changed() -> None:
    for body in ("", "[]", "{}", "7", "[" * 100_000):
        assert prove(1, KEY, [(1, body, GENESIS)]).fault == "changed"


@pytest.fixture
def credential(authority: Authority) -> UUID:
    return authority.credentials.create(1, Basic("ENCOURS", Secret("p")), label="acme", by="test")


@pytest.fixture
def told(authority: Authority, as_role: AsRole, credential: UUID) -> UUID:
    """A chain of five entries."""
    for run in range(1, 5):
        with as_role("encours_app", 1) as connection:
            authority.audit.record_used(
                connection, tenant_id=1, credential_id=credential, connector="acme-s4", run=run, uses=run
            )
    return credential


def test_used_is_told_with_its_run_and_count(authority: Authority, as_role: AsRole, told: UUID) -> None:
    with as_role("encours_auditor", 1) as connection:
        rows = connection.execute(
            "select sequence, body from identity.audit_entry order by sequence"
        ).fetchall()
    assert [sequence for sequence, _ in rows] == [1, 2, 3, 4, 5]
    assert json.loads(rows[4][1]) == {
        "at": "2026-11-24T12:00:06.000000+00:00",
        "by": "connector acme-s4",
        "connector": "acme-s4",
        "credential": str(told),
        "event": "used",
        "run": 4,
        "sequence": 5,
        "tenant": 1,
        "uses": 4,
    }
    assert authority.audit.verify(1).intact
    assert authority.audit.verify(1).entries == 5


def test_an_entry_lives_and_dies_with_its_transaction(
    authority: Authority, as_role: AsRole, credential: UUID
) -> None:
    with as_role("encours_app", 1) as connection:
        authority.audit.record_used(
            connection, tenant_id=1, credential_id=credential, connector="acme-s4", run=1, uses=3
        )
        connection.rollback()
    assert authority.audit.verify(1).entries == 1
    with as_role("encours_app", 1) as connection:
        authority.audit.record_used(
            connection, tenant_id=1, credential_id=credential, connector="acme-s4", run=2, uses=3
        )
    assert authority.audit.verify(1) == Verification(2, authority.audit.verify(1).head)


def test_none_used_none_told(authority: Authority, as_role: AsRole, credential: UUID) -> None:
    with as_role("encours_app", 1) as connection:
        authority.audit.record_used(
            connection, tenant_id=1, credential_id=credential, connector="acme-s4", run=None, uses=0
        )
        with pytest.raises(ValueError, match="-1 uses"):
            authority.audit.record_used(
                connection, tenant_id=1, credential_id=credential, connector="acme-s4", run=None, uses=-1
            )
    assert authority.audit.verify(1).entries == 1


def test_a_tenant_without_a_chain_has_used_nothing(authority: Authority, as_role: AsRole) -> None:
    with as_role("encours_app", 9) as connection, pytest.raises(Denied, match="no audit chain"):
        authority.audit.record_used(
            connection, tenant_id=9, credential_id=uuid4(), connector="acme-s4", run=1, uses=1
        )
    assert authority.audit.verify(9) == Verification(0, GENESIS.hex())


def test_outside_of_a_transaction_nothing_is_told(
    authority: Authority, as_role: AsRole, credential: UUID
) -> None:
    with as_role("encours_app", None) as connection:
        connection.autocommit = True
        with pytest.raises(ValueError, match="in the transaction that ends it"):
            authority.audit.record_used(
                connection, tenant_id=1, credential_id=credential, connector="acme-s4", run=1, uses=1
            )


def test_the_wrong_tenant_is_refused(authority: Authority, as_role: AsRole, credential: UUID) -> None:
    for tenant in (None, 2):
        with (
            as_role("encours_app", tenant) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            authority.audit.record_used(
                connection, tenant_id=1, credential_id=credential, connector="acme-s4", run=1, uses=1
            )
    assert authority.audit.verify(1).entries == 1


@pytest.mark.parametrize("role", ["encours_app", "encours_identity", "encours_auditor"])
def test_no_role_of_ours_rewrites_an_entry(as_role: AsRole, told: UUID, role: str) -> None:
    for query in (
        "update identity.audit_entry set body = body",
        "update identity.audit_entry set mac = mac",
        "delete from identity.audit_entry",
        "truncate identity.audit_entry",
    ):
        with as_role(role, 1) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(query.encode())


@pytest.mark.parametrize(
    "query", ["update identity.audit_entry set mac = mac", "delete from identity.audit_entry"]
)
def test_even_the_owner_has_to_put_the_policy_aside_first(as_role: AsRole, told: UUID, query: str) -> None:
    with as_role("encours_owner", 1) as connection:
        assert connection.execute(query.encode()).rowcount == 0


def test_the_application_role_tells_uses_only(as_role: AsRole, told: UUID) -> None:
    for event in ("connected", "replaced", "removed"):
        body = json.dumps({"event": event, "credential": str(told)})
        with as_role("encours_app", 1) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(
                "insert into identity.audit_entry (tenant_id, sequence, body, mac) values (1, 6, %s, %s)",
                [body, bytes(32)],
            )


def test_a_use_that_the_application_role_invents_without_the_key_is_named(
    authority: Authority, as_role: AsRole, told: UUID
) -> None:
    body = json.dumps({"event": "used", "credential": str(told), "tenant": 1, "sequence": 6})
    with as_role("encours_app", 1) as connection:
        connection.execute(
            "insert into identity.audit_entry (tenant_id, sequence, body, mac) values (1, 6, %s, %s)",
            [body, bytes(32)],
        )
    shown = authority.audit.verify(1)
    assert (shown.entries, shown.sequence, shown.fault) == (5, 6, "changed")


TAMPERINGS = {
    "a count changed": (
        "update identity.audit_entry set body = replace(body, '\"uses\":2', '\"uses\":0') where sequence = 3",
        3,
        "changed",
    ),
    "a mac changed": ("update identity.audit_entry set mac = sha256('x') where sequence = 2", 2, "changed"),
    "one removed": ("delete from identity.audit_entry where sequence = 2", 2, "missing"),
    "the first removed": ("delete from identity.audit_entry where sequence = 1", 1, "missing"),
    "all removed": ("delete from identity.audit_entry", 1, "missing"),
    "one removed and the rest renumbered": (
        """
        delete from identity.audit_entry where sequence = 3;
        update identity.audit_entry set sequence = sequence - 1 where sequence = 4;
        update identity.audit_entry set sequence = sequence - 1 where sequence = 5
        """,
        3,
        "moved",
    ),
    "two swapped": (
        """
        update identity.audit_entry set sequence = 99 where sequence = 2;
        update identity.audit_entry set sequence = 2 where sequence = 4;
        update identity.audit_entry set sequence = 4 where sequence = 99
        """,
        2,
        "moved",
    ),
    "the key removed": ("delete from identity.audit_chain", 1, "missing"),
}


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_tampering_in_the_database_is_named(
    authority: Authority, as_role: AsRole, told: UUID, tampering: str
) -> None:
    query, sequence, fault = TAMPERINGS[tampering]
    with as_role("encours_owner", 1) as connection:
        for table in ("audit_entry", "audit_chain"):
            connection.execute(f"alter table identity.{table} no force row level security".encode())
        connection.execute(query.encode())
        for table in ("audit_entry", "audit_chain"):
            connection.execute(f"alter table identity.{table} force row level security".encode())
    shown = authority.audit.verify(1)
    assert (shown.sequence, shown.fault) == (sequence, fault)


def test_many_writers_make_one_chain(authority: Authority, as_role: AsRole, credential: UUID) -> None:
    def use(run: int) -> None:
        with as_role("encours_app", 1) as connection:
            authority.audit.record_used(
                connection, tenant_id=1, credential_id=credential, connector="acme-s4", run=run, uses=1
            )
            time.sleep(0.002)

    def connect(number: int) -> None:
        authority.credentials.create(1, Basic("U", Secret("p")), label=f"c{number}", by="test")

    with ThreadPoolExecutor(8) as pool:
        work = [
            pool.submit(use, number) if number % 2 else pool.submit(connect, number) for number in range(32)
        ]
    for one in work:
        one.result()
    shown = authority.audit.verify(1)
    assert (shown.entries, shown.fault) == (33, None)


def test_two_first_entries_at_once_begin_one_chain(authority: Authority) -> None:
    with ThreadPoolExecutor(8) as pool:
        work = [
            pool.submit(
                authority.credentials.create, 5, Basic("U", Secret("p")), label=f"c{number}", by="test"
            )
            for number in range(8)
        ]
    assert len({one.result() for one in work}) == 8
    shown = authority.audit.verify(5)
    assert (shown.entries, shown.fault) == (8, None)


def test_the_second_writer_waits_for_the_first_ones_end(
    authority: Authority, as_role: AsRole, credential: UUID
) -> None:
    began = threading.Event()
    done = threading.Event()

    def second() -> None:
        with as_role("encours_app", 1) as connection:
            began.set()
            authority.audit.record_used(
                connection, tenant_id=1, credential_id=credential, connector="b", run=2, uses=1
            )
            done.set()

    with ThreadPoolExecutor(1) as pool:
        with as_role("encours_app", 1) as connection:
            authority.audit.record_used(
                connection, tenant_id=1, credential_id=credential, connector="a", run=1, uses=1
            )
            work = pool.submit(second)
            assert began.wait(10)
            assert not done.wait(0.3), "the second writer must wait while the first may still roll back"
            connection.rollback()
        work.result(timeout=10)
    shown = authority.audit.verify(1)
    assert (shown.entries, shown.fault) == (2, None)


def test_tenants_do_not_wait_for_each_other(authority: Authority, as_role: AsRole, credential: UUID) -> None:
    with as_role("encours_app", 1) as connection, ThreadPoolExecutor(1) as pool:
        authority.audit.record_used(
            connection, tenant_id=1, credential_id=credential, connector="a", run=1, uses=1
        )
        work = pool.submit(authority.credentials.create, 2, Basic("U", Secret("p")), label="b", by="test")
        assert isinstance(work.result(timeout=10), UUID)
