-- Identity: the vault of sealed secrets and the audit chain. Nothing here is readable without the key service.

create schema identity;

-- Which key versions were ever sealed with, so that a lost key file is never replaced by a new key in silence.
-- Of the installation, not of a tenant: it has no tenant column and no policy.
create table identity.key_version (
    version text primary key check (length(version) between 1 and 255),
    first_used_at timestamptz not null default now()
);

create table identity.credential (
    credential_id uuid primary key,
    tenant_id integer not null,
    kind text not null,
    label text not null check (length(label) between 1 and 200),
    owner text check (length(owner) between 1 and 200),
    purpose text check (length(purpose) between 1 and 200),
    subject text,
    header text,
    key_version text not null references identity.key_version (version),
    wrapped_key bytea not null,
    secret bytea not null,
    created_at timestamptz not null,
    created_by text not null,
    replaced_at timestamptz,
    replaced_by text,
    check (
        (kind = 'basic' and subject is not null and header is null)
        or (kind = 'api_key' and subject is null and header is not null)
    ),
    check ((replaced_at is null) = (replaced_by is null))
);

create index on identity.credential (tenant_id, label);

-- The key of a tenant's chain, sealed like every secret. Without it no entry can be made or proven.
create table identity.audit_chain (
    tenant_id integer primary key,
    key_version text not null references identity.key_version (version),
    wrapped_key bytea not null,
    chain_key bytea not null,
    begun_at timestamptz not null
);

-- `body` is the entry, as canonical JSON, and the only truth: the other columns are read from it, so that
-- nothing that is shown stands outside the chain. mac = HMAC-SHA256(chain key, mac of the entry before | body).
create table identity.audit_entry (
    tenant_id integer not null,
    sequence bigint not null check (sequence > 0),
    body text not null,
    mac bytea not null check (octet_length(mac) = 32),
    event text not null generated always as (body::jsonb ->> 'event') stored,
    credential_id uuid not null generated always as ((body::jsonb ->> 'credential')::uuid) stored,
    primary key (tenant_id, sequence),
    check (event in ('connected', 'replaced', 'removed', 'used'))
);

create index on identity.audit_entry (tenant_id, credential_id, sequence);

alter table identity.credential enable row level security;
alter table identity.credential force row level security;
alter table identity.audit_chain enable row level security;
alter table identity.audit_chain force row level security;
alter table identity.audit_entry enable row level security;
alter table identity.audit_entry force row level security;

create policy own_tenant on identity.credential
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::integer)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::integer);
create policy own_tenant on identity.audit_chain
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::integer)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::integer);

-- No policy lets anybody change or delete an entry, the owner of the table included.
create policy own_tenant_read on identity.audit_entry for select
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::integer);
create policy own_tenant_told on identity.audit_entry for insert to encours_identity
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::integer);
create policy own_run_told on identity.audit_entry for insert to encours_app
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::integer and event = 'used');

grant usage on schema identity to encours_identity, encours_app, encours_auditor;

grant select, insert on identity.key_version to encours_identity;
grant select, insert, update, delete on identity.credential to encours_identity;
grant select, insert on identity.audit_chain to encours_identity;
grant select on identity.audit_entry to encours_identity;
grant insert (tenant_id, sequence, body, mac) on identity.audit_entry to encours_identity;

-- A run tells its uses in its own last transaction: the application role needs the end of the chain and the
-- right to add to it. It sees no entry's text, and its entry counts only if the chain key made its mac.
grant select (tenant_id, sequence, mac) on identity.audit_entry to encours_app;
grant insert (tenant_id, sequence, body, mac) on identity.audit_entry to encours_app;

grant select (
    credential_id, tenant_id, kind, label, owner, purpose, subject, header,
    created_at, created_by, replaced_at, replaced_by
) on identity.credential to encours_auditor;
grant select on identity.audit_entry to encours_auditor;
