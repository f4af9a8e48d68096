-- The registry: which tenants and connectors this installation has. Secrets are not here: identity keeps them.

create schema encours;

create table encours.tenant (
    tenant_id integer generated always as identity primary key,
    key text not null unique check (key ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    name text not null check (length(name) between 1 and 200),
    zone text not null,
    created_at timestamptz not null default now()
);

create table encours.connector (
    connector_id integer generated always as identity primary key,
    tenant_id integer not null references encours.tenant (tenant_id),
    key text not null unique check (key ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    system text not null,
    settings jsonb not null,
    credential_id uuid,
    schedule text not null,
    deadline_minutes integer not null check (deadline_minutes > 0),
    tolerance jsonb not null default '{}',
    state text not null default 'active' check (state in ('active', 'paused')),
    paused_reason text,
    changed_by text not null,
    changed_at timestamptz not null default now(),
    activated_at timestamptz not null default now(),
    check ((state = 'paused') = (paused_reason is not null))
);

create index on encours.connector (tenant_id);

alter table encours.tenant enable row level security;
alter table encours.tenant force row level security;
alter table encours.connector enable row level security;
alter table encours.connector force row level security;

-- The list of tenants is readable by the parts of the hub, because it is what a tenant is chosen from.
create policy tenants_listed on encours.tenant for select using (true);
create policy tenant_added on encours.tenant for insert with check (true);
create policy tenant_changed on encours.tenant for update
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::integer);
create policy own_tenant on encours.connector
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::integer)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::integer);

-- All connectors of all tenants, one tenant after the other under its own policy, in one round trip.
create function encours.connectors() returns setof encours.connector
language plpgsql volatile as $$
declare
    before text := current_setting('app.tenant', true);
    one record;
begin
    for one in select tenant_id from encours.tenant order by key loop
        perform set_config('app.tenant', one.tenant_id::text, true);
        return query select * from encours.connector order by key;
    end loop;
    perform set_config('app.tenant', coalesce(before, ''), true);
end
$$;

revoke all on function encours.connectors() from public;
grant usage on schema encours to encours_app, encours_auditor;
grant select, insert, update on encours.tenant to encours_app;
grant select, insert, update, delete on encours.connector to encours_app;
grant select on encours.tenant, encours.connector to encours_auditor;
grant execute on function encours.connectors() to encours_app, encours_auditor;
