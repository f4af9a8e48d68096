-- Which credential, and which of its tokens, signed how many requests of a run. A run that was interrupted has
-- rows of each process that read for it. `token_id` is null where a kind of credential has no tokens.
create table receivables.run_token (
    tenant_id integer not null,
    connector_id integer not null,
    run_id bigint not null references receivables.run (run_id),
    credential_id uuid not null,
    token_id uuid,
    uses bigint not null check (uses > 0),
    told_at timestamptz not null
);

create index on receivables.run_token (run_id);
create index on receivables.run_token (tenant_id, token_id) where token_id is not null;

alter table receivables.run_token enable row level security;
alter table receivables.run_token force row level security;
create policy own_tenant on receivables.run_token
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::integer)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::integer);
grant select on receivables.run_token to encours_app, encours_auditor;
grant insert on receivables.run_token to encours_app;
