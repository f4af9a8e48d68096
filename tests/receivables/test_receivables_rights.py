"""Who may see and change which table of schema receivables: every table, every role, no exception unnamed."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import sql

# Staging has no tenant and no policy (COPY FROM is refused under one): the application alone may touch it.
STAGING = {
    "page",
    "staged_alias",
    "staged_allocation",
    "staged_billing_document",
    "staged_closing",
    "staged_control_account",
    "staged_control_total",
    "staged_customer",
    "staged_deleted",
    "staged_document",
    "staged_document_tax",
    "staged_legal_entity",
    "staged_open_item",
    "staged_raw_digest",
    "staged_receipt",
    "staged_reject",
    "staged_run",
    "staged_suspect",
    "staged_swept",
    "staged_withdrawal",
}
READ = {"SELECT"}
ADD = READ | {"INSERT"}
CHANGE = ADD | {"UPDATE"}
ALL = CHANGE | {"DELETE"}
# Into their history.
TAKEN_FROM = {"customer", "open_item", "receipt", "allocation", "document", "document_tax"}
ENDED = {"suspect": ALL - {"UPDATE"}, "customer_alias": ALL}  # they hold for a while
# And history: proof is never changed.
ADDED_TO = {"closing", "control_total", "tie_out", "publication", "run_token", "waiver"}
# What is thought of a difference may change, and a waiver may end: neither's amounts.
COLUMNS = {"tie_out": {"status", "explanation"}, "waiver": {"ended_at", "ended_by"}}

TABLES = """
select c.relname, c.relrowsecurity, c.relforcerowsecurity, c.relpersistence,
       exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id' and a.attnum > 0),
       array(select pg_get_expr(p.polqual, p.polrelid) || ' | ' || pg_get_expr(p.polwithcheck, p.polrelid)
             from pg_policy p where p.polrelid = c.oid)
from pg_class c where c.relnamespace = 'receivables'::regnamespace and c.relkind in ('r', 'p') order by 1"""

RIGHTS = """
select privilege_type from information_schema.role_table_grants
where table_schema = 'receivables' and table_name = %s and grantee = %s"""


RIGHTS_TO_COLUMNS = """
select column_name from information_schema.column_privileges
where table_schema = 'receivables' and table_name = %s and grantee = 'encours_app' and privilege_type = 'UPDATE'"""


def test_every_table_has_a_policy_or_is_staging(office: Any) -> None:
    own = "(tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::integer)"
    tables = office.sql(TABLES)
    assert {name for name, *_ in tables} >= STAGING
    for name, enabled, forced, persistence, has_tenant, policies in tables:
        if name in STAGING:
            assert (enabled, persistence, has_tenant, policies) == (False, "u", False, []), name
        else:
            assert (enabled, forced, persistence, has_tenant) == (True, True, "p", True), name
            assert policies == [f"{own} | {own}"], name


def test_every_role_has_the_rights_it_needs_and_no_others(office: Any) -> None:
    for name, *_ in office.sql(TABLES):
        if name in STAGING:
            app, auditor = ALL, set()
        else:
            app = ADD if name in ADDED_TO or name.endswith("_history") else CHANGE
            app = ALL if name in TAKEN_FROM else app
            app = ENDED.get(name, app)
            auditor = READ
        for role, rights in (
            ("encours_app", app),
            ("encours_auditor", auditor),
            ("encours_identity", set()),
            ("PUBLIC", set()),
        ):
            found = {right for (right,) in office.sql(RIGHTS, name, role, role="encours_owner")}
            assert found == rights, (name, role)
        if "UPDATE" not in app:
            found = {column for (column,) in office.sql(RIGHTS_TO_COLUMNS, name, role="encours_owner")}
            assert found == COLUMNS.get(name, set()), name


def test_no_role_sees_or_writes_another_tenant(office: Any, make: Any) -> None:
    for tenant in (1, 2):
        office.load(make.item(), make.item("2"), make.document(), tenant_id=tenant, connector_id=tenant)
        office.load(make.item(text="changed"), tenant_id=tenant, connector_id=tenant)
    with office.run(tenant_id=2, connector_id=2) as run:
        make.stage(run, make.item("3"), rows=[b"1", b"2"], rejects=[make.reject()])
        run.tie_out([make.total("1010", "12100000", "1.00")], {})
        run.hold("reject", [])
    filled = (
        "run",
        "tie_out",
        "control_total",
        "publication",
        "bookmark",
        "reject",
        "open_item",
        "document",
        "customer",
        "open_item_history",
    )
    for name, *_ in office.sql(TABLES):
        if name in STAGING:
            continue
        for role in ("encours_app", "encours_auditor", "encours_owner"):
            seen = sql.SQL("select tenant_id, count(*) from {} group by 1").format(
                sql.Identifier("receivables", name)
            )
            of = {tenant: office.sql(seen, role=role, tenant=tenant) for tenant in (2, 3)}
            assert of[3] == [], (name, role)
            assert [tenant for tenant, _ in of[2]] == ([2] if name in filled else []), (name, role)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
        office.sql("insert into receivables.bookmark values (1, 1, 'stolen', '9999', 1)", tenant=2)
    assert (
        office.sql("update receivables.open_item set tenant_id = 2 where tenant_id = 1 returning 1", tenant=2)
        == []
    )
    assert office.store.status(2, 1).publication is None


def test_without_a_tenant_nothing_is_seen(office: Any, make: Any) -> None:
    office.load(make.item())
    with psycopg.connect(office.url("encours_app")) as connection:
        assert connection.execute("select count(*) from receivables.open_item").fetchall() == [(0,)]
        connection.execute("select set_config('app.tenant', '1', true)")
        assert connection.execute("select count(*) from receivables.open_item").fetchall() == [(1,)]
        connection.commit()
        assert connection.execute("select count(*) from receivables.open_item").fetchall() == [(0,)]
