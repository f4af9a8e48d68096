-- name: forget_suspects
-- What was suspect before more was read.
delete from receivables.staged_suspect where run_id = %(run_id)s;

-- name: small_sweeps
-- Entities of which the sweep shows too few of the open lines that we hold: they close nothing.
with held as (select entity, count(*) as lines from ({lines}) as l where cleared_on is null group by entity),
shown as (select entity, count(*) as lines from receivables.staged_swept where run_id = %(run_id)s group by entity)
select held.entity, coalesce(shown.lines, 0) as shown, held.lines as held
from held left join shown on shown.entity = held.entity
where coalesce(shown.lines, 0) < held.lines * %(enough)s
order by held.entity;

-- name: find_unswept
-- Open lines that we hold and the sweep of their entity does not show.
insert into receivables.staged_suspect (run_id, number, entity, fiscal_year, line, account, receipt, unswept)
select %(run_id)s, l.number, l.entity, l.fiscal_year, l.instalment, l.account, l.receipt, true
from ({lines}) as l
where l.cleared_on is null and l.entity <> all(%(small)s::text[])
  and not exists (
    select from receivables.staged_swept s
    where s.run_id = %(run_id)s and s.number = l.number and s.entity = l.entity
      and s.fiscal_year = l.fiscal_year and s.instalment = l.instalment and s.account = l.account);

-- name: find_deleted
-- Lines that we hold, open or not, of what the ERP's records call deleted.
insert into receivables.staged_suspect (run_id, number, entity, fiscal_year, line, account, receipt, unswept, record)
select distinct on (l.number, l.entity, l.fiscal_year, l.instalment, l.account, l.receipt)
       %(run_id)s, l.number, l.entity, l.fiscal_year, l.instalment, l.account, l.receipt, false, d.record
from receivables.staged_deleted d
cross join lateral (select * from ({lines}) as l where l.number = d.number) as l
where d.run_id = %(run_id)s and d.kind = case when l.receipt then 'receipt' else 'document' end
  and d.entity in ('', l.entity) and d.fiscal_year in ('', l.fiscal_year)
on conflict (run_id, number, entity, fiscal_year, line, account, receipt) do update set record = excluded.record;

-- name: by_key
-- Documents and receipts to read by key: of the suspects, and what something that was deleted paid or was paid with.
select entity, fiscal_year, number from receivables.staged_suspect where run_id = %(run_id)s
union
select a.entity, a.target_fiscal_year, a.target_number
from receivables.staged_suspect s
join receivables.allocation a
  on a.tenant_id = %(tenant_id)s and a.connector_id = %(connector_id)s and a.source_number = s.number
 and a.entity = s.entity and a.source_fiscal_year = s.fiscal_year
where s.run_id = %(run_id)s and s.record is not null
union
select a.entity, a.source_fiscal_year, a.source_number
from receivables.staged_suspect s
join receivables.allocation a
  on a.tenant_id = %(tenant_id)s and a.connector_id = %(connector_id)s and a.target_number = s.number
 and a.entity = s.entity and a.target_fiscal_year = s.fiscal_year
where s.run_id = %(run_id)s and s.record is not null
order by 1, 2, 3;

-- name: forget_closings
-- What was to close before more was read.
delete from receivables.staged_closing where run_id = %(run_id)s;

-- name: found_cleared
-- Suspects that a read by key shows as cleared.
insert into receivables.staged_closing
    (run_id, number, entity, fiscal_year, line, account, receipt, cleared, printed, customer, currency, amount,
     first_proof, second_proof)
select %(run_id)s, l.number, l.entity, l.fiscal_year, l.instalment, l.account, l.receipt, true,
       coalesce(o.printed, l.number), l.customer, l.currency, coalesce(o.amount, 0), %(unswept)s,
       'A read by key shows it cleared on ' || l.cleared_on || '.'
from receivables.staged_suspect s
cross join lateral (
    select * from ({lines}) as l
    where l.number = s.number and l.entity = s.entity and l.fiscal_year = s.fiscal_year and l.instalment = s.line
      and l.account = s.account and l.receipt = s.receipt) as l
left join lateral ({published}) as o on true
where s.run_id = %(run_id)s and s.unswept and l.cleared_on is not null;

-- name: candidates
-- Suspects that nothing showed since, what each adds to the balance and counts in its control account, and the run
-- whose sweep was the first not to show it.
select s.number, s.entity, s.fiscal_year, s.line, s.account, s.receipt, coalesce(o.printed, s.number) as printed,
       l.customer, l.currency, l.rest as amount, s.record, l.company_currency,
       case l.carries when 'whole' then l.company_whole else l.company_rest end as counted, l.posted_on::text,
       l.carries = 'whole' and (l.whole <> l.rest or l.company_whole <> l.company_rest) as paid_in_part,
       first.number as first_run
from receivables.staged_suspect s
cross join lateral (
    select * from ({lines}) as l
    where l.number = s.number and l.entity = s.entity and l.fiscal_year = s.fiscal_year and l.instalment = s.line
      and l.account = s.account and l.receipt = s.receipt) as l
left join lateral ({published}) as o on true
left join receivables.suspect known
  on known.tenant_id = %(tenant_id)s and known.connector_id = %(connector_id)s and known.number = s.number
 and known.entity = s.entity and known.fiscal_year = s.fiscal_year and known.line = s.line
 and known.account = s.account and known.receipt = s.receipt and known.run_id <> %(run_id)s
left join receivables.run first on first.tenant_id = %(tenant_id)s and first.run_id = known.run_id
where s.run_id = %(run_id)s and (s.record is not null or l.cleared_on is null)
  and not exists (
    select from receivables.staged_swept shown
    where shown.run_id = %(run_id)s and shown.number = s.number and shown.entity = s.entity
      and shown.fiscal_year = s.fiscal_year and shown.instalment = s.line and shown.account = s.account)
order by s.entity, s.number, s.line, s.account;

-- name: published
-- What people are shown of a suspect: the printed number, and what it adds to the balance as published.
select coalesce(d.printed, i.number) as printed, i.open as amount
from receivables.open_item i
left join receivables.document d
  on d.tenant_id = i.tenant_id and d.connector_id = i.connector_id and d.number = i.number and d.entity = i.entity
 and d.fiscal_year = i.fiscal_year
where i.tenant_id = %(tenant_id)s and i.connector_id = %(connector_id)s and not s.receipt and i.number = s.number
  and i.entity = s.entity and i.fiscal_year = s.fiscal_year and i.instalment = s.line and i.account = s.account
union all
select r.printed, -r.unapplied
from receivables.receipt r
where r.tenant_id = %(tenant_id)s and r.connector_id = %(connector_id)s and s.receipt and r.number = s.number
  and r.entity = s.entity and r.fiscal_year = s.fiscal_year and r.line = s.line and r.account = s.account
limit 1

-- name: close
-- A line that closes with this run.
insert into receivables.staged_closing
    (run_id, number, entity, fiscal_year, line, account, receipt, cleared, printed, customer, currency, amount,
     first_proof, second_proof)
values (%(run_id)s, %(number)s, %(entity)s, %(fiscal_year)s, %(line)s, %(account)s, %(receipt)s, false, %(printed)s,
        %(customer)s, %(currency)s, %(amount)s, %(first_proof)s, %(second_proof)s);

-- name: withdraw_lines
-- The published lines that close.
insert into receivables.staged_withdrawal (run_id, seq, kind, key)
select run_id, -1, case when receipt then 'receipt' else 'open_item' end,
       array[number, entity, fiscal_year, line, account]
from receivables.staged_closing where run_id = %(run_id)s and not cleared;

-- name: withdraw_allocations
-- What was put on the lines that close, and what was taken from them.
insert into receivables.staged_withdrawal (run_id, seq, kind, key)
select c.run_id, -1, 'allocation', array[a.number, a.entity, a.sequence]
from receivables.staged_closing c
join receivables.allocation a
  on a.tenant_id = %(tenant_id)s and a.connector_id = %(connector_id)s and a.target_number = c.number
 and a.entity = c.entity and a.target_fiscal_year = c.fiscal_year and a.target_instalment = c.line
 and a.target_account = c.account
where c.run_id = %(run_id)s and not c.cleared and not c.receipt
union
select c.run_id, -1, 'allocation', array[a.number, a.entity, a.sequence]
from receivables.staged_closing c
join receivables.allocation a
  on a.tenant_id = %(tenant_id)s and a.connector_id = %(connector_id)s and a.source_number = c.number
 and a.entity = c.entity and a.source_fiscal_year = c.fiscal_year and a.source_line = c.line
where c.run_id = %(run_id)s and not c.cleared;

-- name: drop_items
-- Items that close and were read in this run, before they went.
delete from receivables.staged_open_item s using receivables.staged_closing c
where s.run_id = %(run_id)s and c.run_id = %(run_id)s and not c.cleared and not c.receipt and s.number = c.number
  and s.entity = c.entity and s.fiscal_year = c.fiscal_year and s.instalment = c.line and s.account = c.account;

-- name: drop_receipts
-- Receipts that close and were read in this run, before they went.
delete from receivables.staged_receipt s using receivables.staged_closing c
where s.run_id = %(run_id)s and c.run_id = %(run_id)s and not c.cleared and c.receipt and s.number = c.number
  and s.entity = c.entity and s.fiscal_year = c.fiscal_year and s.line = c.line and s.account = c.account;

-- name: drop_allocations
-- What was read in this run as put on lines that close, or taken from them.
delete from receivables.staged_allocation s using receivables.staged_closing c
where s.run_id = %(run_id)s and c.run_id = %(run_id)s and not c.cleared and s.entity = c.entity
  and (not c.receipt and s.target_number = c.number and s.target_fiscal_year = c.fiscal_year
       and s.target_instalment = c.line and s.target_account = c.account
       or s.source_number = c.number and s.source_fiscal_year = c.fiscal_year and s.source_line = c.line);

-- name: drop_documents
-- Documents that were read in this run and of which no item is left.
delete from receivables.staged_document s using receivables.staged_closing c
where s.run_id = %(run_id)s and c.run_id = %(run_id)s and not c.cleared and not c.receipt and s.number = c.number
  and s.entity = c.entity and s.fiscal_year = c.fiscal_year
  and not exists (
    select from receivables.staged_open_item i
    where i.run_id = %(run_id)s and i.number = s.number and i.entity = s.entity and i.fiscal_year = s.fiscal_year);

-- name: keep_closings
-- The lines that closed, each with its two proofs.
insert into receivables.closing
    (tenant_id, connector_id, run_id, number, entity, fiscal_year, line, account, receipt, printed, customer, currency,
     amount, first_proof, second_proof, closed_at)
select %(tenant_id)s, %(connector_id)s, run_id, number, entity, fiscal_year, line, account, receipt, printed, customer,
       currency, amount, first_proof, second_proof, %(now)s
from receivables.staged_closing where run_id = %(run_id)s;

-- name: absolve
-- Suspects that were shown again, or that are not open any more.
delete from receivables.suspect as k
where k.tenant_id = %(tenant_id)s and k.connector_id = %(connector_id)s
  and (exists (
    select from receivables.staged_swept s
    where s.run_id = %(run_id)s and s.number = k.number and s.entity = k.entity
      and s.fiscal_year = k.fiscal_year and s.instalment = k.line and s.account = k.account)
       or not exists (
    select from receivables.open_item i
    where i.tenant_id = %(tenant_id)s and i.connector_id = %(connector_id)s and not k.receipt and i.number = k.number
      and i.entity = k.entity and i.fiscal_year = k.fiscal_year and i.instalment = k.line and i.account = k.account
      and i.cleared_on is null
    union all
    select from receivables.receipt r
    where r.tenant_id = %(tenant_id)s and r.connector_id = %(connector_id)s and k.receipt and r.number = k.number
      and r.entity = k.entity and r.fiscal_year = k.fiscal_year and r.line = k.line and r.account = k.account
      and r.cleared_on is null));

-- name: remember
-- Published open lines that the sweep of this run does not show, and nothing else did; known ones keep their run.
insert into receivables.suspect
    (tenant_id, connector_id, number, entity, fiscal_year, line, account, receipt, printed, customer, currency, amount,
     run_id, since)
select %(tenant_id)s, %(connector_id)s, s.number, s.entity, s.fiscal_year, s.line, s.account, s.receipt, o.printed,
       l.customer, l.currency, o.amount, %(run_id)s, %(now)s
from receivables.staged_suspect s
cross join lateral (
    select customer, currency from receivables.open_item i
    where i.tenant_id = %(tenant_id)s and i.connector_id = %(connector_id)s and not s.receipt and i.number = s.number
      and i.entity = s.entity and i.fiscal_year = s.fiscal_year and i.instalment = s.line and i.account = s.account
      and i.cleared_on is null
    union all
    select customer, currency from receivables.receipt r
    where r.tenant_id = %(tenant_id)s and r.connector_id = %(connector_id)s and s.receipt and r.number = s.number
      and r.entity = s.entity and r.fiscal_year = s.fiscal_year and r.line = s.line and r.account = s.account
      and r.cleared_on is null) as l
cross join lateral ({published}) as o
where s.run_id = %(run_id)s and s.unswept
  and not exists (
    select from receivables.staged_swept shown
    where shown.run_id = %(run_id)s and shown.number = s.number and shown.entity = s.entity
      and shown.fiscal_year = s.fiscal_year and shown.instalment = s.line and shown.account = s.account)
on conflict do nothing;
