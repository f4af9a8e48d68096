-- Customers whose number changed: the ERP's own id, which stays, and dated aliases of the numbers they had.

alter table receivables.customer add column native_id text;
alter table receivables.customer_history add column native_id text;
alter table receivables.staged_customer add column native_id text;

-- Numbers that this run found changed; `alias_of` is null until it is known into whom a customer was merged.
create unlogged table receivables.staged_alias (
    run_id bigint not null,
    entity text not null,
    number text not null,
    alias_of text,
    primary key (run_id, entity, number)
);

-- The number that a customer had, and the one that it has since this day.
create table receivables.customer_alias (
    tenant_id integer not null,
    connector_id integer not null,
    entity text not null,
    number text not null,
    alias_of text not null check (alias_of <> number),
    since date not null,
    run_id bigint not null references receivables.run (run_id),
    primary key (tenant_id, connector_id, entity, number)
);

alter table receivables.customer_alias enable row level security;
alter table receivables.customer_alias force row level security;

create policy own_tenant on receivables.customer_alias
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::integer)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::integer);

grant select on receivables.customer_alias to encours_app, encours_auditor;
grant insert, update, delete on receivables.customer_alias to encours_app;
grant select, insert, update, delete on receivables.staged_alias to encours_app;
grant delete on receivables.customer to encours_app;
