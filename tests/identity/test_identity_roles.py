"""Every table of the schema identity and every role: who may do what, down to the column."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import psycopg
import pytest

from identity.authority import Authority
from identity.kinds import Basic
from identity.oauth import OAuthClient
from identity.secret import Secret
from identity.token_rows import Holder

AsRole = Callable[[str, int | None], AbstractContextManager[psycopg.Connection[Any]]]

ENTRY = {"tenant_id", "sequence", "body", "mac", "event", "credential_id"}
CHAIN = {"tenant_id", "key_version", "wrapped_key", "chain_key", "begun_at"}
DESCRIPTION = {
    *("credential_id", "tenant_id", "kind", "label", "owner", "purpose", "subject", "header"),
    *("company", "sender", "facts"),
    *("created_at", "created_by", "replaced_at", "replaced_by"),
}
CREDENTIAL = DESCRIPTION | {
    *("key_version", "wrapped_key", "secret"),
    *("sender_key_version", "sender_wrapped_key", "sender_secret"),
}
VERSION = {"version", "first_used_at"}
STANDING = {
    *("credential_id", "tenant_id", "token_id", "version", "state", "issued_at", "expires_at", "scope"),
    *("uncertain_since", "attempts"),
}
TOKEN = STANDING | {
    *("access_key_version", "access_wrapped_key", "access_token", "asked_with"),
    *("refresh_key_version", "refresh_wrapped_key", "refresh_token"),
}

# (table, role): privilege -> columns. What is not listed is nobody's; DELETE has no columns.
EXPECTED: dict[tuple[str, str], dict[str, set[str]]] = {
    ("audit_chain", "encours_identity"): {
        "SELECT": CHAIN,
        "INSERT": CHAIN,
        "UPDATE": {"key_version", "wrapped_key", "chain_key"},
    },
    ("audit_entry", "encours_app"): {
        "SELECT": {"tenant_id", "sequence", "mac"},
        "INSERT": {"tenant_id", "sequence", "body", "mac"},
    },
    ("audit_entry", "encours_auditor"): {"SELECT": ENTRY},
    ("audit_entry", "encours_identity"): {
        "SELECT": ENTRY,
        "INSERT": {"tenant_id", "sequence", "body", "mac"},
    },
    ("credential", "encours_auditor"): {"SELECT": DESCRIPTION},
    ("credential", "encours_identity"): {
        "SELECT": CREDENTIAL,
        "INSERT": CREDENTIAL,
        "UPDATE": CREDENTIAL,
        "DELETE": set(),
    },
    ("key_version", "encours_identity"): {"SELECT": VERSION, "INSERT": VERSION},
    ("token", "encours_auditor"): {"SELECT": STANDING},
    ("token", "encours_identity"): {"SELECT": TOKEN, "INSERT": TOKEN, "UPDATE": TOKEN, "DELETE": set()},
}
# Of the installation, with no tenant in it: the one table without a policy.
WITHOUT_POLICY = {"key_version"}

COLUMN_GRANTS = """
select c.relname, r.rolname, p.privilege, a.attname
from pg_class c
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
cross join pg_roles r
cross join unnest(array['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) p (privilege)
where c.relnamespace = 'identity'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f')
  and not r.rolsuper and r.rolname <> 'encours_owner' and r.rolname !~ '^pg_'
  and has_column_privilege(r.oid, c.oid, a.attnum, p.privilege)
"""
TABLE_GRANTS = """
select c.relname, r.rolname, p.privilege
from pg_class c
cross join pg_roles r
cross join unnest(array['DELETE', 'TRUNCATE', 'TRIGGER']) p (privilege)
where c.relnamespace = 'identity'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f')
  and not r.rolsuper and r.rolname <> 'encours_owner' and r.rolname !~ '^pg_'
  and has_table_privilege(r.oid, c.oid, p.privilege)
"""
UNPROTECTED = """
select c.relname from pg_class c
where c.relnamespace = 'identity'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f')
  and not (c.relrowsecurity and c.relforcerowsecurity
           and exists (select from pg_policy p where p.polrelid = c.oid)
           and not exists (select from pg_policy p where p.polrelid = c.oid and (
                   coalesce(pg_get_expr(p.polqual, p.polrelid), '') || coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '')
               ) !~ 'app\\.tenant'))
"""


def grants(connection: psycopg.Connection[Any]) -> dict[tuple[str, str], dict[str, set[str]]]:
    found: dict[tuple[str, str], dict[str, set[str]]] = {}
    for table, role, privilege, column in connection.execute(COLUMN_GRANTS):
        found.setdefault((table, role), {}).setdefault(privilege, set()).add(column)
    for table, role, privilege in connection.execute(TABLE_GRANTS):
        found.setdefault((table, role), {})[privilege] = set()
    return found


def unprotected(connection: psycopg.Connection[Any]) -> set[str]:
    return {table for (table,) in connection.execute(UNPROTECTED)}


def test_every_grant_is_on_the_list(as_role: AsRole) -> None:
    with as_role("encours_owner", None) as connection:
        assert grants(connection) == EXPECTED
        connection.execute("grant select (secret) on identity.credential to encours_auditor")
        assert grants(connection) != EXPECTED, "a grant too many is seen"


def test_every_table_has_a_policy(as_role: AsRole) -> None:
    with as_role("encours_owner", None) as connection:
        assert unprotected(connection) == WITHOUT_POLICY
        connection.execute("create table identity.new_table (tenant_id integer not null)")
        assert unprotected(connection) == WITHOUT_POLICY | {"new_table"}
        connection.execute("alter table identity.new_table enable row level security")
        connection.execute("create policy own_tenant on identity.new_table using (true)")
        connection.execute("alter table identity.new_table force row level security")
        assert "new_table" in unprotected(connection), "a policy that lets everything through is none"
        connection.execute("alter table identity.audit_entry no force row level security")
        assert "audit_entry" in unprotected(connection)


def test_the_owner_of_all_tables_is_no_role_of_the_running_parts(as_role: AsRole) -> None:
    with as_role("encours_owner", None) as connection:
        owners = connection.execute(
            "select distinct pg_get_userbyid(relowner) from pg_class where relnamespace = 'identity'::regnamespace"
        ).fetchall()
        powers = connection.execute(
            "select rolname from pg_roles where rolname ~ '^encours_' and (rolsuper or rolbypassrls)"
        ).fetchall()
    assert owners == [("encours_owner",)]
    assert powers == []


READABLE = [
    (table, role)
    for (table, role), rights in EXPECTED.items()
    if table not in WITHOUT_POLICY and "SELECT" in rights
]


@pytest.mark.parametrize(("table", "role"), READABLE)
def test_rows_are_seen_by_their_own_tenant_only(
    authority: Authority, as_role: AsRole, table: str, role: str
) -> None:
    client = OAuthClient("encours", Secret("s"), "refresh_token")
    for tenant_id in (1, 2):
        made = authority.credentials.create(tenant_id, client, label="a", by="test")
        authority.tokens.adopt(Holder(tenant_id, made), Secret("r"), by="test")
    query = f"select distinct tenant_id from identity.{table}".encode()  # noqa: S608
    for tenant, expected in [(1, [(1,)]), (2, [(2,)]), (3, []), (None, [])]:
        with as_role(role, tenant) as connection:
            assert connection.execute(query).fetchall() == expected


def test_nothing_is_written_for_another_tenant(authority: Authority, as_role: AsRole) -> None:
    authority.credentials.create(1, Basic("U", Secret("p")), label="a", by="test")
    with as_role("encours_identity", 2) as connection:
        assert connection.execute("update identity.credential set label = 'b'").rowcount == 0
        assert connection.execute("delete from identity.credential").rowcount == 0
    with as_role("encours_identity", 1) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("update identity.credential set tenant_id = 2")
    with as_role("encours_identity", 2) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(
            "insert into identity.audit_entry (tenant_id, sequence, body, mac) values (1, 2, %s, %s)",
            ['{"event":"used","credential":"00000000-0000-0000-0000-000000000000"}', bytes(32)],
        )
