-- Receivables: what is published (current and history), how it was proven, and what a run stages.
-- Keys begin with the number, not the entity: numbers differ early, so an index compares less.
-- There are no foreign keys on the rows' path: they cost a third of a merge, and the publish is one statement
-- sequence under one lock that makes both sides.

create schema receivables;

-- Runs and their proof ---------------------------------------------------------------------------------------

create table receivables.run (
    run_id bigint generated always as identity primary key,
    tenant_id integer not null,
    connector_id integer not null,
    number integer not null check (number > 0),
    state text not null check (state in ('reading', 'held', 'moving', 'published', 'superseded', 'failed')),
    mode text not null check (mode in ('snapshot', 'delta', 'sweep')),
    day date not null,
    adapter text not null,
    settings_digest text not null,
    opened_at timestamptz not null,
    ended_at timestamptz,
    reason text check (reason in ('difference', 'reject', 'settings', 'asked')),
    message text,
    explanation jsonb not null default '[]',
    pages integer not null default 0,
    rows_read bigint not null default 0,
    rows_staged bigint not null default 0,
    rejects integer not null default 0,
    suspects integer not null default 0,
    unique (tenant_id, connector_id, number),
    check ((state = 'reading') = (ended_at is null)),
    check ((state = 'held') <= (reason is not null))
);

-- A connector has at most one run that may still be resumed or released.
create unique index on receivables.run (connector_id) where state in ('reading', 'held');

-- The row with customer null is the whole account; '' is what was posted to it without a customer.
create table receivables.control_total (
    tenant_id integer not null,
    connector_id integer not null,
    run_id bigint not null references receivables.run (run_id),
    entity text not null,
    account text not null,
    basis text not null check (basis in ('company', 'document')),
    currency text not null,
    customer text,
    source text not null check (source in ('erp', 'hub')),
    as_of date not null,
    grade text not null check (grade in ('ledger', 'aggregate')),
    closing numeric not null check (abs(closing) < 1e30),
    items bigint check (items >= 0),
    unique nulls not distinct (run_id, account, entity, basis, currency, customer, source)
);

create table receivables.tie_out (
    tenant_id integer not null,
    connector_id integer not null,
    run_id bigint not null references receivables.run (run_id),
    entity text not null,
    account text not null,
    basis text not null check (basis in ('company', 'document')),
    currency text not null,
    customer text,
    as_of date not null,
    grade text not null check (grade in ('ledger', 'aggregate')),
    difference numeric not null check (abs(difference) < 1e30),
    status text not null check (status in ('equal', 'within', 'waived', 'different')),
    explanation text,
    unique nulls not distinct (run_id, account, entity, basis, currency, customer)
);

create table receivables.publication (
    tenant_id integer not null,
    connector_id integer not null,
    number integer not null check (number > 0),
    previous integer,
    run_id bigint not null unique references receivables.run (run_id),
    published_at timestamptz not null,
    grade text not null check (grade in ('ledger', 'aggregate', 'none')),
    counts jsonb not null,
    changes jsonb not null,
    totals jsonb not null,
    content_hash bit(128) not null,
    primary key (tenant_id, connector_id, number)
);

create table receivables.bookmark (
    tenant_id integer not null,
    connector_id integer not null,
    name text not null,
    value text not null,
    run_id bigint not null references receivables.run (run_id),
    primary key (tenant_id, connector_id, name)
);

-- The digest of each raw row as published, by the row's native key: what has not changed is not read twice.
create table receivables.raw_digest (
    tenant_id integer not null,
    connector_id integer not null,
    stream text not null,
    key uuid not null,
    digest uuid not null,
    primary key (tenant_id, connector_id, stream, key)
);

create table receivables.reject (
    reject_id bigint generated always as identity primary key,
    tenant_id integer not null,
    connector_id integer not null,
    run_id bigint not null references receivables.run (run_id),
    stream text not null,
    digest uuid not null,
    key text,
    key_digest uuid,
    code text not null,
    field text not null,
    message text not null,
    raw bytea not null,
    first_seen timestamptz not null,
    last_seen timestamptz not null,
    times integer not null default 1 check (times > 0),
    state text not null default 'open' check (state in ('open', 'replayed', 'waived')),
    unique (tenant_id, connector_id, stream, digest, code, field)
);

create index on receivables.reject (tenant_id, connector_id) where state = 'open';

-- What is owed, as published ---------------------------------------------------------------------------------

create table receivables.legal_entity (
    tenant_id integer not null,
    connector_id integer not null,
    code text not null,
    name text not null,
    country text,
    currency text not null,
    vat_id text,
    registration_id text,
    digest bit(128) not null,
    run_id bigint not null,
    adapter text not null,
    known_from timestamptz not null,
    primary key (tenant_id, connector_id, code)
);

create table receivables.control_account (
    tenant_id integer not null,
    connector_id integer not null,
    entity text not null,
    account text not null,
    kind text not null check (kind in ('trade', 'doubtful', 'notes', 'advances', 'special')),
    label text,
    digest bit(128) not null,
    run_id bigint not null,
    adapter text not null,
    known_from timestamptz not null,
    primary key (tenant_id, connector_id, account, entity)
);

create table receivables.customer (
    tenant_id integer not null,
    connector_id integer not null,
    number text not null,
    entity text not null,
    printed text not null,
    name text,
    country text,
    vat_id text,
    registration_id text,
    payer text,
    head_office text,
    control_account text,
    currency text,
    payment_terms text,
    dunning_block text,
    language text,
    email text,
    blocked boolean not null,
    incomplete boolean not null,
    digest bit(128) not null,
    run_id bigint not null,
    adapter text not null,
    known_from timestamptz not null,
    primary key (tenant_id, connector_id, number, entity)
);

create table receivables.document (
    tenant_id integer not null,
    connector_id integer not null,
    number text not null,
    entity text not null,
    fiscal_year text not null,
    type text not null,
    kind text not null check (kind in (
        'invoice', 'credit_note', 'debit_note', 'advance', 'journal', 'opening', 'fx_revaluation', 'write_off',
        'interest')),
    printed text not null,
    customer text not null,
    status text not null check (status in ('posted', 'cancelled', 'reversed')),
    currency text not null,
    issued_on date,
    posted_on date not null,
    reversal_of text,
    billing_document text,
    reference text,
    related text,
    total_incl numeric not null check (abs(total_incl) < 1e30),
    digest bit(128) not null,
    run_id bigint not null,
    adapter text not null,
    known_from timestamptz not null,
    primary key (tenant_id, connector_id, number, entity, fiscal_year, type)
);

create table receivables.open_item (
    tenant_id integer not null,
    connector_id integer not null,
    number text not null,
    entity text not null,
    fiscal_year text not null,
    instalment text not null,
    account text not null,
    customer text not null,
    currency text not null,
    original numeric not null,
    open numeric not null,
    company_currency text not null,
    company_original numeric not null,
    company_open numeric not null,
    posted_on date not null,
    due_on date,
    cleared_on date,
    payment_method text,
    payment_reference text,
    payment_block text,
    dunning_level text,
    dunning_block text,
    clearing_document text,
    assignment text,
    text text,
    digest bit(128) not null,
    run_id bigint not null,
    adapter text not null,
    known_from timestamptz not null,
    primary key (tenant_id, connector_id, number, entity, fiscal_year, instalment, account),
    -- NaN sorts above every number in PostgreSQL, so this refuses it and both infinities.
    constraint amounts_are_numbers check (
        abs(original) < 1e18 and abs(open) < 1e18 and abs(company_original) < 1e18 and abs(company_open) < 1e18)
);

-- What was known before: the version of a row that was visible from known_from until known_to.
create table receivables.legal_entity_history
    (like receivables.legal_entity including constraints, known_to timestamptz not null);
create table receivables.control_account_history
    (like receivables.control_account including constraints, known_to timestamptz not null);
create table receivables.customer_history
    (like receivables.customer including constraints, known_to timestamptz not null);
create table receivables.document_history
    (like receivables.document including constraints, known_to timestamptz not null);
create table receivables.open_item_history
    (like receivables.open_item including constraints, known_to timestamptz not null);

create index on receivables.legal_entity_history (tenant_id, connector_id, known_to);
create index on receivables.control_account_history (tenant_id, connector_id, known_to);
create index on receivables.customer_history (tenant_id, connector_id, known_to);
create index on receivables.document_history (tenant_id, connector_id, known_to);
create index on receivables.open_item_history (tenant_id, connector_id, known_to);

-- Staging ----------------------------------------------------------------------------------------------------
-- COPY FROM is refused on tables with row-level security, so staging has no tenant column and no policy: it is
-- keyed by run, and no role but the application may touch it. All of it is unlogged, so that after a crash of
-- the server all of it is gone together: a run whose row in staged_run is missing lost everything it staged.
-- seq is the place of a row in its run (page ordinal x 2^20 + line): of a key staged twice the last read counts.

create unlogged table receivables.staged_run (
    run_id bigint primary key,
    connector_id integer not null
);

create unlogged table receivables.page (
    run_id bigint not null,
    slice text not null,
    number integer not null,
    ordinal bigint not null,
    stream text not null,
    last boolean not null,
    received integer not null,
    staged integer not null,
    rejects integer not null,
    bookmark text,
    reached text,
    primary key (run_id, slice, number)
);

create unlogged table receivables.staged_control_total (
    run_id bigint not null,
    at text not null check (at in ('before', 'after')),
    entity text not null,
    account text not null,
    basis text not null,
    currency text not null,
    as_of date not null,
    grade text not null,
    closing numeric not null,
    customer text,
    items bigint
);

create unlogged table receivables.staged_reject (
    run_id bigint not null,
    seq bigint not null,
    stream text not null,
    digest uuid not null,
    key text,
    key_digest uuid,
    code text not null,
    field text not null,
    message text not null,
    raw bytea not null
);

create unlogged table receivables.staged_raw_digest (
    run_id bigint not null,
    seq bigint not null,
    stream text not null,
    key uuid not null,
    digest uuid not null
);

create unlogged table receivables.staged_legal_entity (
    run_id bigint not null,
    seq bigint not null,
    digest bit(128) not null,
    code text not null,
    name text not null,
    country text,
    currency text not null,
    vat_id text,
    registration_id text
);

create unlogged table receivables.staged_control_account (
    run_id bigint not null,
    seq bigint not null,
    digest bit(128) not null,
    entity text not null,
    account text not null,
    kind text not null,
    label text
);

create unlogged table receivables.staged_customer (
    run_id bigint not null,
    seq bigint not null,
    digest bit(128) not null,
    number text not null,
    entity text not null,
    printed text not null,
    name text,
    country text,
    vat_id text,
    registration_id text,
    payer text,
    head_office text,
    control_account text,
    currency text,
    payment_terms text,
    dunning_block text,
    language text,
    email text,
    blocked boolean not null,
    incomplete boolean not null
);

create unlogged table receivables.staged_document (
    run_id bigint not null,
    seq bigint not null,
    digest bit(128) not null,
    number text not null,
    entity text not null,
    fiscal_year text not null,
    type text not null,
    kind text not null,
    printed text not null,
    customer text not null,
    status text not null,
    currency text not null,
    issued_on date,
    posted_on date not null,
    reversal_of text,
    billing_document text,
    reference text,
    related text
);

create unlogged table receivables.staged_open_item (
    run_id bigint not null,
    seq bigint not null,
    digest bit(128) not null,
    number text not null,
    entity text not null,
    fiscal_year text not null,
    instalment text not null,
    account text not null,
    customer text not null,
    currency text not null,
    original numeric not null,
    open numeric not null,
    company_currency text not null,
    company_original numeric not null,
    company_open numeric not null,
    posted_on date not null,
    due_on date,
    cleared_on date,
    payment_method text,
    payment_reference text,
    payment_block text,
    dunning_level text,
    dunning_block text,
    clearing_document text,
    assignment text,
    text text
);

create unlogged table receivables.staged_swept (
    run_id bigint not null,
    seq bigint not null,
    digest bit(128) not null,
    number text not null,
    entity text not null,
    fiscal_year text not null,
    instalment text not null,
    account text not null,
    customer text not null,
    currency text not null,
    original numeric not null,
    company_original numeric not null,
    due_on date,
    dunning_level text
);

create index on receivables.staged_run (connector_id);
create index on receivables.staged_control_total (run_id);
create index on receivables.staged_reject (run_id);
create index on receivables.staged_raw_digest (run_id);
create index on receivables.staged_legal_entity (run_id);
create index on receivables.staged_control_account (run_id);
create index on receivables.staged_customer (run_id);
create index on receivables.staged_document (run_id);
create index on receivables.staged_open_item (run_id);
create index on receivables.staged_swept (run_id);

-- Rights -----------------------------------------------------------------------------------------------------

do $$
declare
    one text;
begin
    foreach one in array array[
        'run', 'control_total', 'tie_out', 'publication', 'bookmark', 'raw_digest', 'reject',
        'legal_entity', 'control_account', 'customer', 'document', 'open_item',
        'legal_entity_history', 'control_account_history', 'customer_history', 'document_history',
        'open_item_history'
    ] loop
        execute format('alter table receivables.%I enable row level security', one);
        execute format('alter table receivables.%I force row level security', one);
        execute format(
            'create policy own_tenant on receivables.%I'
            ' using (tenant_id = nullif(current_setting(''app.tenant'', true), '''')::integer)'
            ' with check (tenant_id = nullif(current_setting(''app.tenant'', true), '''')::integer)', one);
        execute format('grant select on receivables.%I to encours_app, encours_auditor', one);
    end loop;
end
$$;

grant usage on schema receivables to encours_app, encours_auditor;

grant insert, update on receivables.run, receivables.bookmark, receivables.raw_digest, receivables.reject,
    receivables.legal_entity, receivables.control_account, receivables.customer, receivables.document,
    receivables.open_item to encours_app;

-- Proof and history are added to, never changed.
grant insert on receivables.control_total, receivables.tie_out, receivables.publication,
    receivables.legal_entity_history, receivables.control_account_history, receivables.customer_history,
    receivables.document_history, receivables.open_item_history to encours_app;

grant select, insert, update, delete on receivables.staged_run, receivables.page,
    receivables.staged_control_total, receivables.staged_reject, receivables.staged_raw_digest,
    receivables.staged_legal_entity, receivables.staged_control_account, receivables.staged_customer,
    receivables.staged_document, receivables.staged_open_item, receivables.staged_swept to encours_app;

-- Only an owner may ANALYZE; without fresh statistics after a big load the next merge reads the whole table
-- once per row. Keys, and what a tie-out groups by: nothing else decides a plan.
create function receivables.analyze_keys() returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    analyze receivables.customer (tenant_id, connector_id, number, entity);
    analyze receivables.document (tenant_id, connector_id, number, entity, fiscal_year, type);
    analyze receivables.open_item (
        tenant_id, connector_id, number, entity, fiscal_year, instalment, account,
        customer, currency, company_currency, posted_on, cleared_on);
    analyze receivables.raw_digest (tenant_id, connector_id, stream, key);
end
$$;

revoke all on function receivables.analyze_keys() from public;
grant execute on function receivables.analyze_keys() to encours_app;
