-- name: any_lines
-- Whether this run staged anything that can pay or be paid in a clearing or by reference.
select exists (select from receivables.staged_open_item where run_id = %(run_id)s and carries = 'whole')
    or exists (select from receivables.staged_receipt where run_id = %(run_id)s and carries = 'whole');

-- name: forget_allocations
-- What was worked out before more was read.
delete from receivables.staged_allocation where run_id = %(run_id)s and seq < 0;

-- name: forget_withdrawals
-- What was to be taken away before more was read.
delete from receivables.staged_withdrawal where run_id = %(run_id)s;

-- name: clearings
-- The lines of every clearing that this run touched, as they would be once it is published, and the residual
-- items that payments in it left, debits of the payment's own document and customer; a clearing that a staged line was in before is touched as well. Of a receipt also
-- what is taken for its money by now.
with touched as materialized (
    select entity, clearing_document from receivables.staged_open_item
    where run_id = %(run_id)s and clearing_document is not null
    union
    select entity, clearing_document from receivables.staged_receipt
    where run_id = %(run_id)s and clearing_document is not null
    union
    select c.entity, c.clearing_document
    from receivables.staged_open_item s
    join receivables.open_item c
      on c.tenant_id = %(tenant_id)s and c.connector_id = %(connector_id)s and c.number = s.number
     and c.entity = s.entity and c.fiscal_year = s.fiscal_year and c.instalment = s.instalment
     and c.account = s.account
    where s.run_id = %(run_id)s and c.clearing_document is not null
      and c.clearing_document is distinct from s.clearing_document
    union
    select c.entity, c.clearing_document
    from receivables.staged_receipt s
    join receivables.receipt c
      on c.tenant_id = %(tenant_id)s and c.connector_id = %(connector_id)s and c.number = s.number
     and c.entity = s.entity and c.fiscal_year = s.fiscal_year and c.line = s.line and c.account = s.account
    where s.run_id = %(run_id)s and c.clearing_document is not null
      and c.clearing_document is distinct from s.clearing_document),
line as materialized (
    select s.entity, s.clearing_document, s.number, s.fiscal_year, s.instalment as line, s.account, s.customer, s.currency,
           s.original as amount, s.company_currency, s.company_original as company_amount, s.posted_on, s.due_on,
           s.cleared_on, s.related, s.discount, s.company_discount, false as receipt, false as reversed, true as staged,
           null::numeric as cash, null::numeric as company_cash
    from receivables.staged_open_item s join touched using (entity, clearing_document)
    where s.run_id = %(run_id)s
    union all
    select c.entity, c.clearing_document, c.number, c.fiscal_year, c.instalment, c.account, c.customer, c.currency,
           c.original, c.company_currency, c.company_original, c.posted_on, c.due_on,
           c.cleared_on, c.related, c.discount, c.company_discount, false, false, false, null, null
    from touched
    join receivables.open_item c
      on c.tenant_id = %(tenant_id)s and c.connector_id = %(connector_id)s
     and c.clearing_document = touched.clearing_document and c.entity = touched.entity
    where not exists (
        select from receivables.staged_open_item s
        where s.run_id = %(run_id)s and s.number = c.number and s.entity = c.entity
          and s.fiscal_year = c.fiscal_year and s.instalment = c.instalment and s.account = c.account)
      and not exists (
        select from receivables.staged_receipt s
        where s.run_id = %(run_id)s and s.number = c.number and s.entity = c.entity
          and s.fiscal_year = c.fiscal_year and s.line = c.instalment and s.account = c.account)
    union all
    select s.entity, s.clearing_document, s.number, s.fiscal_year, s.line, s.account, s.customer, s.currency,
           -s.amount - s.not_cash, s.company_currency, -s.company_amount - s.company_not_cash, s.booked_on, null,
           s.cleared_on, s.related, null, null, true, s.status = 'reversed', true, s.amount, s.company_amount
    from receivables.staged_receipt s join touched using (entity, clearing_document)
    where s.run_id = %(run_id)s
    union all
    select c.entity, c.clearing_document, c.number, c.fiscal_year, c.line, c.account, c.customer, c.currency,
           -c.amount - c.not_cash, c.company_currency, -c.company_amount - c.company_not_cash, c.booked_on, null,
           c.cleared_on, c.related, null, null, true, c.status = 'reversed', false, c.amount, c.company_amount
    from touched
    join receivables.receipt c
      on c.tenant_id = %(tenant_id)s and c.connector_id = %(connector_id)s
     and c.clearing_document = touched.clearing_document and c.entity = touched.entity
    where not exists (
        select from receivables.staged_receipt s
        where s.run_id = %(run_id)s and s.number = c.number and s.entity = c.entity
          and s.fiscal_year = c.fiscal_year and s.line = c.line and s.account = c.account)
      and not exists (
        select from receivables.staged_open_item s
        where s.run_id = %(run_id)s and s.number = c.number and s.entity = c.entity
          and s.fiscal_year = c.fiscal_year and s.instalment = c.line and s.account = c.account)),
short as materialized (
    select distinct entity, number, fiscal_year, customer, clearing_document from line where receipt),
residual as (
    select s.entity, short.clearing_document, s.number, s.fiscal_year, s.instalment as line, s.account, s.currency,
           s.original as amount, s.company_currency, s.company_original as company_amount, s.posted_on, s.due_on,
           s.cleared_on, s.related
    from short
    join receivables.staged_open_item s using (entity, number, fiscal_year, customer)
    where s.run_id = %(run_id)s and s.original > 0
      and s.clearing_document is distinct from short.clearing_document
    union all
    select c.entity, short.clearing_document, c.number, c.fiscal_year, c.instalment, c.account, c.currency,
           c.original, c.company_currency, c.company_original, c.posted_on, c.due_on, c.cleared_on, c.related
    from short
    join receivables.open_item c
      on c.tenant_id = %(tenant_id)s and c.connector_id = %(connector_id)s
     and c.number = short.number and c.entity = short.entity and c.fiscal_year = short.fiscal_year
     and c.customer = short.customer
    where c.original > 0
      and c.clearing_document is distinct from short.clearing_document
      and not exists (
        select from receivables.staged_open_item s
        where s.run_id = %(run_id)s and s.number = c.number and s.entity = c.entity
          and s.fiscal_year = c.fiscal_year and s.instalment = c.instalment and s.account = c.account))
select l.entity, l.number, l.fiscal_year, l.line, l.account, l.currency, l.amount, l.company_currency,
       l.company_amount, l.posted_on::text, l.due_on::text, l.cleared_on::text, l.clearing_document, l.related,
       l.discount, l.company_discount,
       case when l.reversed then 'journal'
            when l.receipt then case coalesce(sa.kind, ca.kind) when 'advances' then 'advance' else 'receipt' end
            when coalesce(sd.reversal_of, cd.reversal_of) is not null then 'journal'
            when coalesce(sd.kind, cd.kind) in ('credit_note', 'advance', 'invoice') then coalesce(sd.kind, cd.kind)
            else 'journal' end as source,
       coalesce(sd.reversal_of, cd.reversal_of) as reverses, false as residual, l.staged,
       l.cash, l.company_cash
from line l
left join receivables.staged_control_account sa
  on l.receipt and sa.run_id = %(run_id)s and sa.account = l.account and sa.entity = l.entity
left join receivables.control_account ca
  on l.receipt and ca.tenant_id = %(tenant_id)s and ca.connector_id = %(connector_id)s
 and ca.account = l.account and ca.entity = l.entity
-- Where clearings are documents of a fiscal year (SAP), number and year name one document, whatever its type.
left join receivables.staged_document sd
  on not l.receipt and sd.run_id = %(run_id)s and sd.number = l.number and sd.entity = l.entity
 and sd.fiscal_year = l.fiscal_year
left join receivables.document cd
  on not l.receipt and cd.tenant_id = %(tenant_id)s and cd.connector_id = %(connector_id)s
 and cd.number = l.number and cd.entity = l.entity and cd.fiscal_year = l.fiscal_year
union all
select r.entity, r.number, r.fiscal_year, r.line, r.account, r.currency, r.amount, r.company_currency,
       r.company_amount, r.posted_on::text, r.due_on::text, r.cleared_on::text, r.clearing_document, r.related,
       null, null, 'journal', null, true, true, null, null
from residual r
order by 1, 13;

-- name: payments
-- Items, each before the open payments that name it and credits that pay it, of those that this run touched: one of
-- them is staged, or the item was paid in part before.
with named as materialized (
    select entity, split_part(related, '/', 1) as number, split_part(related, '/', 2) as fiscal_year,
           split_part(related, '/', 3) as instalment
    from receivables.staged_receipt where run_id = %(run_id)s and related is not null
    union
    select c.entity, split_part(c.related, '/', 1), split_part(c.related, '/', 2), split_part(c.related, '/', 3)
    from receivables.staged_receipt s
    join receivables.receipt c
      on c.tenant_id = %(tenant_id)s and c.connector_id = %(connector_id)s and c.number = s.number
     and c.entity = s.entity and c.fiscal_year = s.fiscal_year and c.line = s.line and c.account = s.account
    where s.run_id = %(run_id)s and c.related is not null and c.related is distinct from s.related
    union
    select entity, split_part(pays, '/', 1), split_part(pays, '/', 2), split_part(pays, '/', 3)
    from receivables.staged_open_item where run_id = %(run_id)s and pays is not null
    union
    select c.entity, split_part(c.pays, '/', 1), split_part(c.pays, '/', 2), split_part(c.pays, '/', 3)
    from receivables.staged_open_item s
    join receivables.open_item c
      on c.tenant_id = %(tenant_id)s and c.connector_id = %(connector_id)s and c.number = s.number
     and c.entity = s.entity and c.fiscal_year = s.fiscal_year and c.instalment = s.instalment
     and c.account = s.account
    where s.run_id = %(run_id)s and c.pays is not null and c.pays is distinct from s.pays),
payment as materialized (
    select s.related as name, s.entity, s.number, s.fiscal_year, s.line, s.account, s.currency, -s.amount as amount,
           s.company_currency, -s.company_amount as company_amount, s.booked_on, s.unapplied, s.company_unapplied,
           true as staged, false as credit
    from receivables.staged_receipt s
    where s.run_id = %(run_id)s and s.related is not null and s.cleared_on is null and s.carries = 'whole'
    union all
    select c.related, c.entity, c.number, c.fiscal_year, c.line, c.account, c.currency, -c.amount,
           c.company_currency, -c.company_amount, c.booked_on, c.unapplied, c.company_unapplied, false, false
    from receivables.receipt c
    where c.tenant_id = %(tenant_id)s and c.connector_id = %(connector_id)s
      and c.related is not null and c.cleared_on is null and c.carries = 'whole'
      and (c.entity, split_part(c.related, '/', 1), split_part(c.related, '/', 2), split_part(c.related, '/', 3)) in (
        select entity, number, fiscal_year, instalment from receivables.staged_open_item where run_id = %(run_id)s
        union all select entity, number, fiscal_year, instalment from named)
      and not exists (
        select from receivables.staged_receipt s
        where s.run_id = %(run_id)s and s.number = c.number and s.entity = c.entity
          and s.fiscal_year = c.fiscal_year and s.line = c.line and s.account = c.account)
      and not exists (
        select from receivables.staged_open_item s
        where s.run_id = %(run_id)s and s.number = c.number and s.entity = c.entity
          and s.fiscal_year = c.fiscal_year and s.instalment = c.line and s.account = c.account)
    union all
    select s.pays, s.entity, s.number, s.fiscal_year, s.instalment, s.account, s.currency, s.original,
           s.company_currency, s.company_original, s.posted_on, -s.open, -s.company_open, true, true
    from receivables.staged_open_item s
    where s.run_id = %(run_id)s and s.pays is not null and s.cleared_on is null and s.carries = 'whole'
    union all
    select c.pays, c.entity, c.number, c.fiscal_year, c.instalment, c.account, c.currency, c.original,
           c.company_currency, c.company_original, c.posted_on, -c.open, -c.company_open, false, true
    from receivables.open_item c
    where c.tenant_id = %(tenant_id)s and c.connector_id = %(connector_id)s
      and c.pays is not null and c.cleared_on is null and c.carries = 'whole'
      and (c.entity, split_part(c.pays, '/', 1), split_part(c.pays, '/', 2), split_part(c.pays, '/', 3)) in (
        select entity, number, fiscal_year, instalment from receivables.staged_open_item where run_id = %(run_id)s
        union all select entity, number, fiscal_year, instalment from named)
      and not exists (
        select from receivables.staged_open_item s
        where s.run_id = %(run_id)s and s.number = c.number and s.entity = c.entity
          and s.fiscal_year = c.fiscal_year and s.instalment = c.instalment and s.account = c.account)),
paid as materialized (
    select entity, split_part(name, '/', 1) as number, split_part(name, '/', 2) as fiscal_year,
           split_part(name, '/', 3) as instalment
    from payment
    union select entity, number, fiscal_year, instalment from named),
item as (
    select s.entity, s.number, s.fiscal_year, s.instalment, s.account, s.currency, s.original, s.company_currency,
           s.company_original, s.posted_on, s.cleared_on, s.open, s.company_open, true as staged
    from receivables.staged_open_item s
    left join paid
      on paid.number = s.number and paid.entity = s.entity and paid.fiscal_year = s.fiscal_year
     and paid.instalment = s.instalment
    where s.run_id = %(run_id)s and s.carries = 'whole' and s.pays is null
      and (paid.number is not null
           or s.cleared_on is null and (s.open <> s.original or s.company_open <> s.company_original))
    union all
    select c.entity, c.number, c.fiscal_year, c.instalment, c.account, c.currency, c.original, c.company_currency,
           c.company_original, c.posted_on, c.cleared_on, c.open, c.company_open, false
    from paid
    join receivables.open_item c
      on c.tenant_id = %(tenant_id)s and c.connector_id = %(connector_id)s and c.number = paid.number
     and c.entity = paid.entity and c.fiscal_year = paid.fiscal_year and c.instalment = paid.instalment
    where c.carries = 'whole' and c.pays is null
      and not exists (
        select from receivables.staged_open_item s
        where s.run_id = %(run_id)s and s.number = c.number and s.entity = c.entity
          and s.fiscal_year = c.fiscal_year and s.instalment = c.instalment and s.account = c.account)
      and not exists (
        select from receivables.staged_receipt s
        where s.run_id = %(run_id)s and s.number = c.number and s.entity = c.entity
          and s.fiscal_year = c.fiscal_year and s.line = c.instalment and s.account = c.account))
select i.entity, i.number, i.fiscal_year, i.instalment as line, i.account, i.currency, i.original as amount,
       i.company_currency, i.company_original as company_amount, i.posted_on::text, null as due_on,
       i.cleared_on::text, null as clearing_document, null as related, null::numeric as discount,
       null::numeric as company_discount, 'journal' as source, null as reverses, false as residual, i.staged,
       i.number || '/' || i.fiscal_year || '/' || i.instalment as name, false as pays, false as credit,
       i.open as rest, i.company_open as company_rest
from item i
union all
select p.entity, p.number, p.fiscal_year, p.line, p.account, p.currency, p.amount, p.company_currency,
       p.company_amount, p.booked_on::text, null, null, null, p.name, null, null,
       case when p.credit then 'credit_note' when coalesce(sa.kind, ca.kind) = 'advances' then 'advance'
            else 'receipt' end,
       null, false, p.staged, p.name, true, p.credit, p.unapplied, p.company_unapplied
from payment p
left join receivables.staged_control_account sa
  on sa.run_id = %(run_id)s and sa.account = p.account and sa.entity = p.entity
left join receivables.control_account ca
  on ca.tenant_id = %(tenant_id)s and ca.connector_id = %(connector_id)s
 and ca.account = p.account and ca.entity = p.entity
order by entity, name, pays, account;

-- name: staged_rows
-- Staged rows of these keys, each column as text.
select {columns} from {staged} as row
join unnest({arrays}) as wanted ({key}) on {same_key}
where row.run_id = %(run_id)s;

-- name: published_rows
-- Published rows of these keys, each column as text.
select {columns} from {current} as row
join unnest({arrays}) as wanted ({key}) on {same_key}
where row.tenant_id = %(tenant_id)s and row.connector_id = %(connector_id)s;

-- name: forget_staged_rows
-- Staged rows of these keys, in whose place come others.
delete from {staged} as row
using unnest({arrays}) as wanted ({key})
where row.run_id = %(run_id)s and {same_key};

-- name: withdraw_allocations
-- Published allocations of the lines that this run touched, if they do not follow from the rows any more; the
-- lines that are not staged themselves are named.
insert into receivables.staged_withdrawal (run_id, seq, kind, key)
select distinct %(run_id)s::bigint, -1, 'allocation', array[a.number, a.entity, a.sequence]
from (
    select a.number, a.entity, a.sequence
    from receivables.staged_open_item s
    join receivables.allocation a
      on a.tenant_id = %(tenant_id)s and a.connector_id = %(connector_id)s and a.target_number = s.number
     and a.entity = s.entity and a.target_fiscal_year = s.fiscal_year and a.target_instalment = s.instalment
    where s.run_id = %(run_id)s and s.carries = 'whole'
    union all
    select a.number, a.entity, a.sequence
    from receivables.staged_open_item s
    join receivables.allocation a
      on a.tenant_id = %(tenant_id)s and a.connector_id = %(connector_id)s and a.source_number = s.number
     and a.entity = s.entity and a.source_fiscal_year = s.fiscal_year and a.source_line = s.instalment
    where s.run_id = %(run_id)s and s.carries = 'whole' and s.original < 0
    union all
    select a.number, a.entity, a.sequence
    from receivables.staged_receipt s
    join receivables.allocation a
      on a.tenant_id = %(tenant_id)s and a.connector_id = %(connector_id)s and a.source_number = s.number
     and a.entity = s.entity and a.source_fiscal_year = s.fiscal_year and a.source_line = s.line
    where s.run_id = %(run_id)s and s.carries = 'whole'
    union all
    select a.number, a.entity, a.sequence
    from unnest(%(entities)s::text[], %(numbers)s::text[], %(years)s::text[], %(lines)s::text[], %(credits)s::boolean[])
         as named (entity, number, fiscal_year, line, credit)
    join receivables.allocation a
      on a.tenant_id = %(tenant_id)s and a.connector_id = %(connector_id)s and a.source_number = named.number
     and a.entity = named.entity and a.source_fiscal_year = named.fiscal_year and a.source_line = named.line
    where named.credit
    union all
    select a.number, a.entity, a.sequence
    from unnest(%(entities)s::text[], %(numbers)s::text[], %(years)s::text[], %(lines)s::text[], %(credits)s::boolean[])
         as named (entity, number, fiscal_year, line, credit)
    join receivables.allocation a
      on a.tenant_id = %(tenant_id)s and a.connector_id = %(connector_id)s and a.target_number = named.number
     and a.entity = named.entity and a.target_fiscal_year = named.fiscal_year and a.target_instalment = named.line
    where not named.credit) as a
where not exists (
    select from receivables.staged_allocation s
    where s.run_id = %(run_id)s and s.number = a.number and s.entity = a.entity and s.sequence = a.sequence);

-- name: withdraw_items
-- Published items whose line is read as a receipt now, because its type of document means something else.
insert into receivables.staged_withdrawal (run_id, seq, kind, key)
select %(run_id)s, -1, 'open_item', array[c.number, c.entity, c.fiscal_year, c.instalment, c.account]
from receivables.staged_receipt s
join receivables.open_item c
  on c.tenant_id = %(tenant_id)s and c.connector_id = %(connector_id)s and c.number = s.number
 and c.entity = s.entity and c.fiscal_year = s.fiscal_year and c.instalment = s.line and c.account = s.account
where s.run_id = %(run_id)s and s.carries = 'whole';

-- name: withdraw_receipts
-- Published receipts whose line is read as an item now.
insert into receivables.staged_withdrawal (run_id, seq, kind, key)
select %(run_id)s, -1, 'receipt', array[c.number, c.entity, c.fiscal_year, c.line, c.account]
from receivables.staged_open_item s
join receivables.receipt c
  on c.tenant_id = %(tenant_id)s and c.connector_id = %(connector_id)s and c.number = s.number
 and c.entity = s.entity and c.fiscal_year = s.fiscal_year and c.line = s.instalment and c.account = s.account
where s.run_id = %(run_id)s and s.carries = 'whole';

-- name: withdraw_documents
-- Published documents of receipts alone: what was their items is withdrawn, and no item is left.
insert into receivables.staged_withdrawal (run_id, seq, kind, key)
select distinct %(run_id)s::bigint, -1, 'document', array[d.number, d.entity, d.fiscal_year, d.type]
from receivables.staged_withdrawal w
join receivables.document d
  on d.tenant_id = %(tenant_id)s and d.connector_id = %(connector_id)s and d.number = w.key[1]
 and d.entity = w.key[2] and d.fiscal_year = w.key[3]
where w.run_id = %(run_id)s and w.kind = 'open_item'
  and not exists (
    select from receivables.staged_open_item s
    where s.run_id = %(run_id)s and s.number = d.number and s.entity = d.entity and s.fiscal_year = d.fiscal_year)
  and not exists (
    select from receivables.open_item c
    where c.tenant_id = %(tenant_id)s and c.connector_id = %(connector_id)s
      and c.number = d.number and c.entity = d.entity and c.fiscal_year = d.fiscal_year
      and not exists (
        select from receivables.staged_withdrawal other
        where other.run_id = %(run_id)s and other.kind = 'open_item'
          and other.key = array[c.number, c.entity, c.fiscal_year, c.instalment, c.account]));
