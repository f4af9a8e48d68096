-- What people decide: to replay or waive a reject, to waive a difference, to publish or discard a held run.

alter table receivables.run
    drop constraint run_mode_check,
    add constraint run_mode_check check (mode in ('snapshot', 'delta', 'sweep', 'replay', 'backfill')),
    add column decided_by text;

-- Which adapter read the row, so that it can be read again by the same; null of rows set aside before.
alter table receivables.staged_reject add column adapter text;
alter table receivables.reject
    add column adapter text,
    add column waived_by text,
    add column waived_at timestamptz,
    add column waived_because text,
    add constraint waiver_is_told check (
        (state = 'waived') <= (num_nulls(waived_by, waived_at, waived_because) = 0));

-- A rule that publishes books which differ by no more than `largest` at this place, until a moment. Who waived
-- what, and why, is never changed: a rule is only ended.
create table receivables.waiver (
    waiver_id bigint generated always as identity primary key,
    tenant_id integer not null,
    connector_id integer not null,
    run_id bigint not null references receivables.run (run_id),
    entity text not null,
    account text not null,
    basis text not null check (basis in ('company', 'document')),
    currency text not null,
    largest numeric not null check (largest >= 0 and largest < 1e30),
    reason text not null check (length(reason) between 10 and 500),
    owner text not null,
    made_at timestamptz not null,
    until timestamptz not null,
    ended_at timestamptz,
    ended_by text,
    check (until > made_at),
    check ((ended_at is null) = (ended_by is null))
);

create index on receivables.waiver (tenant_id, connector_id) where ended_at is null;

alter table receivables.waiver enable row level security;
alter table receivables.waiver force row level security;
create policy own_tenant on receivables.waiver
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::integer)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::integer);
grant select on receivables.waiver to encours_app, encours_auditor;
grant insert, update (ended_at, ended_by) on receivables.waiver to encours_app;

-- A line that is waived or published later keeps its amounts; only what is thought of them changes.
grant update (status, explanation) on receivables.tie_out to encours_app;

-- Who changed what of a connector: a person may not waive the difference that a change of theirs may have made.
create table encours.connector_change (
    tenant_id integer not null references encours.tenant (tenant_id),
    connector_id integer not null,
    changed_at timestamptz not null default now(),
    changed_by text not null,
    fields text[] not null
);

create index on encours.connector_change (tenant_id, connector_id, changed_at);

alter table encours.connector_change enable row level security;
alter table encours.connector_change force row level security;
create policy own_tenant on encours.connector_change
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::integer)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::integer);
grant select, insert on encours.connector_change to encours_app;
grant select on encours.connector_change to encours_auditor;
