-- Net, tax and what was paid before of a document, from its billing document; receipts as money alone; the zone
-- whose days a legal entity's books end with; credit notes that pay what they name.

alter table receivables.legal_entity add column zone text;
alter table receivables.legal_entity_history add column zone text;
alter table receivables.staged_legal_entity add column zone text;

-- Empty where no billing document says so.
alter table receivables.document
    add column total_excl numeric,
    add column tax_total numeric,
    add column prepaid numeric,
    add constraint totals_are_numbers check (
        abs(total_excl) < 1e30 and abs(tax_total) < 1e30 and abs(prepaid) < 1e30);
alter table receivables.document_history
    add column total_excl numeric,
    add column tax_total numeric,
    add column prepaid numeric,
    add constraint totals_are_numbers check (
        abs(total_excl) < 1e30 and abs(tax_total) < 1e30 and abs(prepaid) < 1e30);

-- The documents of a billing document that is read again.
create index on receivables.document (tenant_id, connector_id, billing_document) where billing_document is not null;

-- What a receipt's line takes off its account beside the money: a discount granted, the rest of a short payment.
alter table receivables.receipt
    add column not_cash numeric not null default 0,
    add column company_not_cash numeric not null default 0,
    add constraint not_cash_is_a_number check (abs(not_cash) < 1e18 and abs(company_not_cash) < 1e18);
alter table receivables.receipt_history
    add column not_cash numeric not null default 0,
    add column company_not_cash numeric not null default 0,
    add constraint not_cash_is_a_number check (abs(not_cash) < 1e18 and abs(company_not_cash) < 1e18);
alter table receivables.staged_receipt
    add column not_cash numeric not null,
    add column company_not_cash numeric not null;

alter table receivables.open_item add column pays text;
alter table receivables.open_item_history add column pays text;
alter table receivables.staged_open_item add column pays text;

-- The credits that pay an item, while both are open.
create index on receivables.open_item (tenant_id, connector_id, pays) where pays is not null and cleared_on is null;

create table receivables.billing_document (
    tenant_id integer not null,
    connector_id integer not null,
    number text not null,
    entity text not null,
    type text not null,
    status text not null check (status in ('posted', 'cancelled')),
    cancels text,
    currency text not null,
    total_excl numeric not null,
    tax_total numeric not null,
    total_incl numeric not null,
    taxes jsonb not null,
    digest bit(128) not null,
    run_id bigint not null,
    adapter text not null,
    known_from timestamptz not null,
    primary key (tenant_id, connector_id, number, entity),
    constraint amounts_are_numbers check (
        abs(total_excl) < 1e18 and abs(tax_total) < 1e18 and abs(total_incl) < 1e18)
);

create table receivables.billing_document_history
    (like receivables.billing_document including constraints, known_to timestamptz not null);
create index on receivables.billing_document_history (tenant_id, connector_id, known_to);

create unlogged table receivables.staged_billing_document (
    run_id bigint not null,
    seq bigint not null,
    digest bit(128) not null,
    number text not null,
    entity text not null,
    type text not null,
    status text not null,
    cancels text,
    currency text not null,
    total_excl numeric not null,
    tax_total numeric not null,
    total_incl numeric not null,
    taxes jsonb not null
);
create index on receivables.staged_billing_document (run_id);

do $$
declare
    one text;
begin
    foreach one in array array['billing_document', 'billing_document_history'] loop
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

grant insert, update on receivables.billing_document to encours_app;
grant insert on receivables.billing_document_history to encours_app;
grant select, insert, update, delete on receivables.staged_billing_document to encours_app;

-- A tax that a billing document does not state any more.
grant delete on receivables.document_tax to encours_app;

create or replace function receivables.analyze_keys() returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    analyze receivables.customer (tenant_id, connector_id, number, entity);
    analyze receivables.document (tenant_id, connector_id, number, entity, fiscal_year, type, billing_document);
    analyze receivables.open_item (
        tenant_id, connector_id, number, entity, fiscal_year, instalment, account,
        customer, currency, company_currency, posted_on, cleared_on, clearing_document, pays);
    analyze receivables.receipt (
        tenant_id, connector_id, number, entity, fiscal_year, line, account,
        customer, currency, company_currency, booked_on, cleared_on, clearing_document, related);
    analyze receivables.allocation (
        tenant_id, connector_id, number, entity, sequence, source_number, target_number, allocated_on);
    analyze receivables.billing_document (tenant_id, connector_id, number, entity);
    analyze receivables.document_tax (
        tenant_id, connector_id, number, entity, fiscal_year, type, category, rate);
    analyze receivables.raw_digest (tenant_id, connector_id, stream, key);
end
$$;

create or replace function receivables.analyze_staging() returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    analyze receivables.staged_customer (run_id, number, entity);
    analyze receivables.staged_document (run_id, number, entity, fiscal_year, type, kind, billing_document);
    analyze receivables.staged_open_item (
        run_id, number, entity, fiscal_year, instalment, account,
        customer, currency, company_currency, posted_on, cleared_on, clearing_document, pays);
    analyze receivables.staged_receipt (
        run_id, number, entity, fiscal_year, line, account,
        customer, currency, company_currency, booked_on, cleared_on, clearing_document, related);
    analyze receivables.staged_allocation (
        run_id, number, entity, sequence, source_number, source_fiscal_year, source_line, target_number,
        target_fiscal_year, target_instalment, target_account, allocated_on);
    analyze receivables.staged_billing_document (run_id, number, entity);
    analyze receivables.staged_raw_digest (run_id, stream, key);
    analyze receivables.staged_swept (run_id, number, entity, fiscal_year, instalment, account);
end
$$;
