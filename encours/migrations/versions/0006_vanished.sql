-- What vanished: lines that a sweep does not show any more, the ERP's own records of deletion, and the two proofs
-- with which a line was closed.

-- What the ERP's own record says is gone. An entity or a fiscal year of '' is one that the record does not tell.
create unlogged table receivables.staged_deleted (
    run_id bigint not null,
    seq bigint not null,
    digest bit(128) not null,
    kind text not null,
    number text not null,
    record text not null,
    entity text not null,
    fiscal_year text not null
);

-- Lines that this run must read by key before they may be closed: the sweep does not show them (`unswept`), or a
-- record says that they were deleted.
create unlogged table receivables.staged_suspect (
    run_id bigint not null,
    number text not null,
    entity text not null,
    fiscal_year text not null,
    line text not null,
    account text not null,
    receipt boolean not null,
    unswept boolean not null,
    record text,
    primary key (run_id, number, entity, fiscal_year, line, account, receipt)
);

-- Lines that close with this run. One that a read by key shows as cleared is kept; the others are taken away.
create unlogged table receivables.staged_closing (
    run_id bigint not null,
    number text not null,
    entity text not null,
    fiscal_year text not null,
    line text not null,
    account text not null,
    receipt boolean not null,
    cleared boolean not null,
    printed text not null,
    customer text not null,
    currency text not null,
    amount numeric not null,
    first_proof text not null,
    second_proof text not null,
    primary key (run_id, number, entity, fiscal_year, line, account, receipt)
);

create index on receivables.staged_deleted (run_id);

-- Open lines that the last sweep did not show, and the first run whose sweep did not show them.
create table receivables.suspect (
    tenant_id integer not null,
    connector_id integer not null,
    number text not null,
    entity text not null,
    fiscal_year text not null,
    line text not null,
    account text not null,
    receipt boolean not null,
    printed text not null,
    customer text not null,
    currency text not null,
    amount numeric not null check (abs(amount) < 1e18),
    run_id bigint not null references receivables.run (run_id),
    since timestamptz not null,
    primary key (tenant_id, connector_id, number, entity, fiscal_year, line, account, receipt)
);

-- Every line that was closed because the ERP does not show it any more: never without two proofs.
create table receivables.closing (
    tenant_id integer not null,
    connector_id integer not null,
    run_id bigint not null references receivables.run (run_id),
    number text not null,
    entity text not null,
    fiscal_year text not null,
    line text not null,
    account text not null,
    receipt boolean not null,
    printed text not null,
    customer text not null,
    currency text not null,
    amount numeric not null check (abs(amount) < 1e18),
    first_proof text not null,
    second_proof text not null,
    closed_at timestamptz not null,
    primary key (tenant_id, connector_id, run_id, number, entity, fiscal_year, line, account, receipt),
    constraint two_proofs check (first_proof <> '' and second_proof <> '' and first_proof <> second_proof)
);

create index on receivables.closing (tenant_id, connector_id, closed_at);

alter table receivables.suspect enable row level security;
alter table receivables.suspect force row level security;
alter table receivables.closing enable row level security;
alter table receivables.closing force row level security;

create policy own_tenant on receivables.suspect
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::integer)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::integer);
create policy own_tenant on receivables.closing
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::integer)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::integer);

grant select on receivables.suspect, receivables.closing to encours_app, encours_auditor;
grant insert, delete on receivables.suspect to encours_app;
grant insert on receivables.closing to encours_app;
grant select, insert, update, delete on receivables.staged_deleted, receivables.staged_suspect,
    receivables.staged_closing to encours_app;
