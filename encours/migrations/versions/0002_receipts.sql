-- Receipts, allocations and taxes of documents, as published, as they were, and as staged.
-- An open item also says which item it refers to, what discount its clearing granted, and what its line in the
-- ledger carries: its whole amount until it is cleared, or the rest that is still open.

alter table receivables.run
    add column notes jsonb not null default '[]',
    drop constraint run_reason_check,
    add constraint run_reason_check check (reason in ('difference', 'invariant', 'reject', 'settings', 'asked'));

alter table receivables.document add column rate numeric check (rate > 0 and rate < 1e18);
alter table receivables.document_history add column rate numeric check (rate > 0 and rate < 1e18);
alter table receivables.staged_document add column rate numeric;

alter table receivables.open_item
    add column related text,
    add column discount numeric,
    add column company_discount numeric,
    add column carries text not null default 'whole' check (carries in ('whole', 'rest')),
    add constraint discounts_are_numbers check (abs(discount) < 1e18 and abs(company_discount) < 1e18);
alter table receivables.open_item_history
    add column related text,
    add column discount numeric,
    add column company_discount numeric,
    add column carries text not null default 'whole' check (carries in ('whole', 'rest')),
    add constraint discounts_are_numbers check (abs(discount) < 1e18 and abs(company_discount) < 1e18);
alter table receivables.staged_open_item
    add column related text,
    add column discount numeric,
    add column company_discount numeric,
    add column carries text not null;

-- The members of a clearing are looked for by its document.
create index on receivables.open_item (tenant_id, connector_id, clearing_document)
    where clearing_document is not null;

-- What is owed, as published ---------------------------------------------------------------------------------

create table receivables.receipt (
    tenant_id integer not null,
    connector_id integer not null,
    number text not null,
    entity text not null,
    fiscal_year text not null,
    line text not null,
    account text not null,
    customer text not null,
    printed text not null,
    currency text not null,
    amount numeric not null,
    unapplied numeric not null,
    company_currency text not null,
    company_amount numeric not null,
    company_unapplied numeric not null,
    booked_on date not null,
    value_on date,
    status text not null check (status in ('received', 'reversed')),
    cleared_on date,
    clearing_document text,
    payer text,
    method text,
    bank_reference text,
    text text,
    related text,
    carries text not null check (carries in ('whole', 'rest')),
    digest bit(128) not null,
    run_id bigint not null,
    adapter text not null,
    known_from timestamptz not null,
    primary key (tenant_id, connector_id, number, entity, fiscal_year, line, account),
    constraint amounts_are_numbers check (
        amount >= 0 and amount < 1e18 and abs(unapplied) < 1e18 and abs(company_amount) < 1e18
        and abs(company_unapplied) < 1e18)
);

create index on receivables.receipt (tenant_id, connector_id, clearing_document)
    where clearing_document is not null;

-- The payments that name an item, while both are open.
create index on receivables.receipt (tenant_id, connector_id, related)
    where related is not null and cleared_on is null;

create table receivables.allocation (
    tenant_id integer not null,
    connector_id integer not null,
    number text not null,
    entity text not null,
    sequence text not null,
    source text not null check (source in ('receipt', 'credit_note', 'advance', 'journal', 'invoice')),
    source_number text not null,
    source_fiscal_year text not null,
    source_line text not null,
    target_number text not null,
    target_fiscal_year text not null,
    target_instalment text not null,
    target_account text not null,
    currency text not null,
    amount numeric not null,
    company_currency text not null,
    company_amount numeric not null,
    discount numeric not null,
    company_discount numeric not null,
    company_difference numeric not null,
    allocated_on date not null,
    derived boolean not null,
    reverses text,
    digest bit(128) not null,
    run_id bigint not null,
    adapter text not null,
    known_from timestamptz not null,
    primary key (tenant_id, connector_id, number, entity, sequence),
    constraint amounts_are_numbers check (
        abs(amount) < 1e18 and abs(company_amount) < 1e18 and abs(discount) < 1e18
        and abs(company_discount) < 1e18 and abs(company_difference) < 1e18)
);

create index on receivables.allocation (tenant_id, connector_id, target_number);
create index on receivables.allocation (tenant_id, connector_id, source_number);

create table receivables.document_tax (
    tenant_id integer not null,
    connector_id integer not null,
    number text not null,
    entity text not null,
    fiscal_year text not null,
    type text not null,
    category text not null,
    rate numeric not null check (rate >= 0 and rate < 1e6),
    base numeric not null,
    tax numeric not null,
    digest bit(128) not null,
    run_id bigint not null,
    adapter text not null,
    known_from timestamptz not null,
    primary key (tenant_id, connector_id, number, entity, fiscal_year, type, category, rate),
    constraint amounts_are_numbers check (abs(base) < 1e18 and abs(tax) < 1e18)
);

create table receivables.receipt_history
    (like receivables.receipt including constraints, known_to timestamptz not null);
create table receivables.allocation_history
    (like receivables.allocation including constraints, known_to timestamptz not null);
create table receivables.document_tax_history
    (like receivables.document_tax including constraints, known_to timestamptz not null);

create index on receivables.receipt_history (tenant_id, connector_id, known_to);
create index on receivables.allocation_history (tenant_id, connector_id, known_to);
create index on receivables.document_tax_history (tenant_id, connector_id, known_to);

-- Staging ----------------------------------------------------------------------------------------------------
-- A seq below zero marks what was worked out from the rows instead of read: it is worked out again when more
-- is read, and gives way to a row that is read.

create unlogged table receivables.staged_receipt (
    run_id bigint not null,
    seq bigint not null,
    digest bit(128) not null,
    number text not null,
    entity text not null,
    fiscal_year text not null,
    line text not null,
    account text not null,
    customer text not null,
    printed text not null,
    currency text not null,
    amount numeric not null,
    unapplied numeric not null,
    company_currency text not null,
    company_amount numeric not null,
    company_unapplied numeric not null,
    booked_on date not null,
    value_on date,
    status text not null,
    cleared_on date,
    clearing_document text,
    payer text,
    method text,
    bank_reference text,
    text text,
    related text,
    carries text not null
);

create unlogged table receivables.staged_allocation (
    run_id bigint not null,
    seq bigint not null,
    digest bit(128) not null,
    number text not null,
    entity text not null,
    sequence text not null,
    source text not null,
    source_number text not null,
    source_fiscal_year text not null,
    source_line text not null,
    target_number text not null,
    target_fiscal_year text not null,
    target_instalment text not null,
    target_account text not null,
    currency text not null,
    amount numeric not null,
    company_currency text not null,
    company_amount numeric not null,
    discount numeric not null,
    company_discount numeric not null,
    company_difference numeric not null,
    allocated_on date not null,
    derived boolean not null,
    reverses text
);

create unlogged table receivables.staged_document_tax (
    run_id bigint not null,
    seq bigint not null,
    digest bit(128) not null,
    number text not null,
    entity text not null,
    fiscal_year text not null,
    type text not null,
    category text not null,
    rate numeric not null,
    base numeric not null,
    tax numeric not null
);

-- Published rows that this run takes away: their kind, and their key in the order of the kind's columns.
create unlogged table receivables.staged_withdrawal (
    run_id bigint not null,
    seq bigint not null,
    kind text not null,
    key text[] not null
);

create index on receivables.staged_receipt (run_id);
create index on receivables.staged_allocation (run_id);
create index on receivables.staged_document_tax (run_id);
create index on receivables.staged_withdrawal (run_id);

-- Rights -----------------------------------------------------------------------------------------------------

do $$
declare
    one text;
begin
    foreach one in array array[
        'receipt', 'allocation', 'document_tax', 'receipt_history', 'allocation_history', 'document_tax_history'
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

grant insert, update on receivables.receipt, receivables.allocation, receivables.document_tax to encours_app;
grant insert on receivables.receipt_history, receivables.allocation_history, receivables.document_tax_history
    to encours_app;

-- A clearing that was reset takes its allocations away, and a type of document that means something else from
-- now on its items: the version of before stays in the history.
grant delete on receivables.open_item, receivables.document, receivables.receipt, receivables.allocation
    to encours_app;

grant select, insert, update, delete on receivables.staged_receipt, receivables.staged_allocation,
    receivables.staged_document_tax, receivables.staged_withdrawal to encours_app;

create or replace function receivables.analyze_keys() returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    analyze receivables.customer (tenant_id, connector_id, number, entity);
    analyze receivables.document (tenant_id, connector_id, number, entity, fiscal_year, type);
    analyze receivables.open_item (
        tenant_id, connector_id, number, entity, fiscal_year, instalment, account,
        customer, currency, company_currency, posted_on, cleared_on, clearing_document);
    analyze receivables.receipt (
        tenant_id, connector_id, number, entity, fiscal_year, line, account,
        customer, currency, company_currency, booked_on, cleared_on, clearing_document, related);
    analyze receivables.allocation (
        tenant_id, connector_id, number, entity, sequence, source_number, target_number, allocated_on);
    analyze receivables.document_tax (
        tenant_id, connector_id, number, entity, fiscal_year, type, category, rate);
    analyze receivables.raw_digest (tenant_id, connector_id, stream, key);
end
$$;

-- The same of what is staged: without, the planner expects a few rows of a run, and joins them by reading all of
-- one side for each row of the other.
create function receivables.analyze_staging() returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    analyze receivables.staged_customer (run_id, number, entity);
    analyze receivables.staged_document (run_id, number, entity, fiscal_year, type, kind);
    analyze receivables.staged_open_item (
        run_id, number, entity, fiscal_year, instalment, account,
        customer, currency, company_currency, posted_on, cleared_on, clearing_document);
    analyze receivables.staged_receipt (
        run_id, number, entity, fiscal_year, line, account,
        customer, currency, company_currency, booked_on, cleared_on, clearing_document, related);
    analyze receivables.staged_allocation (
        run_id, number, entity, sequence, source_number, source_fiscal_year, source_line, target_number,
        target_fiscal_year, target_instalment, target_account, allocated_on);
    analyze receivables.staged_raw_digest (run_id, stream, key);
    analyze receivables.staged_swept (run_id, number, entity, fiscal_year, instalment, account);
end
$$;

revoke all on function receivables.analyze_staging() from public;
grant execute on function receivables.analyze_staging() to encours_app;
