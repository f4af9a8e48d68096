-- name: open_amounts
-- Items of this run whose open amount is not the original less what was put on it, plus what was taken from it. It
-- holds where the allocations are worked out here; where the ERP states what is open, the gap is told. What is
-- taken from a debit is the rest of a short payment: it made the item and is its original amount.
with item as not materialized (
    select number, entity, fiscal_year, instalment, account, customer, original, open, company_original, company_open,
           currency, cleared_on, clearing_document, carries
    from receivables.staged_open_item where run_id = %(run_id)s),
allocation as (
    select entity, source_number, source_fiscal_year, source_line, target_number, target_fiscal_year,
           target_instalment, target_account, amount, company_amount, discount, company_discount, company_difference
    from receivables.staged_allocation where run_id = %(run_id)s
    union all
    select a.entity, a.source_number, a.source_fiscal_year, a.source_line, a.target_number, a.target_fiscal_year,
           a.target_instalment, a.target_account, a.amount, a.company_amount, a.discount, a.company_discount,
           a.company_difference
    from receivables.allocation a
    where a.tenant_id = %(tenant_id)s and a.connector_id = %(connector_id)s
      and (a.target_number in (select number from item) or a.source_number in (select number from item))
      and not exists (
        select from receivables.staged_allocation s
        where s.run_id = %(run_id)s and s.number = a.number and s.entity = a.entity and s.sequence = a.sequence)
      and not exists (
        select from receivables.staged_withdrawal w
        where w.run_id = %(run_id)s and w.kind = 'allocation' and w.key = array[a.number, a.entity, a.sequence])),
moved as (
    select i.number, i.entity, i.fiscal_year, i.instalment, i.account, -a.amount as amount,
           -a.company_amount as company_amount
    from item i
    join allocation a
      on a.target_number = i.number and a.entity = i.entity and a.target_fiscal_year = i.fiscal_year
     and a.target_instalment = i.instalment and a.target_account = i.account
    union all
    select i.number, i.entity, i.fiscal_year, i.instalment, i.account, a.amount - a.discount,
           a.company_amount - a.company_discount + a.company_difference
    from item i
    join allocation a
      on a.source_number = i.number and a.entity = i.entity and a.source_fiscal_year = i.fiscal_year
     and a.source_line = i.instalment
    where i.original < 0 or (i.original = 0 and i.company_original < 0)),
summed as (
    select number, entity, fiscal_year, instalment, account, sum(amount) as amount, sum(company_amount) as company_amount
    from moved group by number, entity, fiscal_year, instalment, account),
gap as (
    select i.*, i.original + coalesce(s.amount, 0) as expected,
           i.company_original + coalesce(s.company_amount, 0) as company_expected, count(*) over () as gaps,
           i.carries = 'whole' and (i.cleared_on is null or i.clearing_document is not null) as holds
    from item i
    left join summed s
      on s.number = i.number and s.entity = i.entity and s.fiscal_year = i.fiscal_year
     and s.instalment = i.instalment and s.account = i.account
    where i.open <> i.original + coalesce(s.amount, 0)
       or i.company_open <> i.company_original + coalesce(s.company_amount, 0))
select holds,
       'Item ' || concat_ws('/', number, nullif(fiscal_year, ''), instalment) || ' of ' || entity || ', customer '
       || customer || ': open is ' || open || ' ' || currency || ', its allocations leave ' || expected
       || '; in company currency ' || company_open || ' and ' || company_expected || ' (one of ' || gaps
       || ' such items).'
from gap order by holds desc, entity, number, fiscal_year, instalment limit 5;

-- name: receipts
-- Receipts of this run whose money is not what was put on items, less discounts, and what is not applied yet. Where
-- the ERP states what paid what, its own words are not weighed.
with receipt as (
    select number, entity, fiscal_year, line, customer, currency, amount, unapplied, company_amount, company_unapplied
    from receivables.staged_receipt where run_id = %(run_id)s and carries = 'whole'),
gave as (
    select number, entity, fiscal_year, line, sum(amount) as amount, sum(company_amount) as company_amount
    from (
        select source_number as number, entity, source_fiscal_year as fiscal_year, source_line as line,
               amount - discount as amount,
               company_amount - company_discount + company_difference as company_amount
        from receivables.staged_allocation where run_id = %(run_id)s
        union all
        select a.source_number, a.entity, a.source_fiscal_year, a.source_line, a.amount - a.discount,
               a.company_amount - a.company_discount + a.company_difference
        from receivables.allocation a
        where a.tenant_id = %(tenant_id)s and a.connector_id = %(connector_id)s
          and a.source_number in (select number from receipt)
          and not exists (
            select from receivables.staged_allocation s
            where s.run_id = %(run_id)s and s.number = a.number and s.entity = a.entity and s.sequence = a.sequence)
          and not exists (
            select from receivables.staged_withdrawal w
            where w.run_id = %(run_id)s and w.kind = 'allocation' and w.key = array[a.number, a.entity, a.sequence])
    ) as allocation
    group by number, entity, fiscal_year, line),
gap as (
    select r.*, coalesce(g.amount, 0) as gave, coalesce(g.company_amount, 0) as company_gave, count(*) over () as gaps
    from receipt r
    left join gave g using (number, entity, fiscal_year, line)
    where r.amount <> coalesce(g.amount, 0) + r.unapplied
       or r.company_amount <> coalesce(g.company_amount, 0) + r.company_unapplied)
select true,
       'Receipt ' || concat_ws('/', number, nullif(fiscal_year, ''), line) || ' of ' || entity || ', customer ' || customer
       || ': ' || amount || ' ' || currency || ' came in, ' || gave || ' were put on items and ' || unapplied
       || ' are not applied; in company currency ' || company_amount || ', ' || company_gave || ' and ' || company_unapplied
       || ' (one of ' || gaps || ' such receipts).'
from gap order by entity, number, fiscal_year, line limit 5;

-- name: balance
-- Companies and currencies in which what we worked out changes the balance: what payments took off items is not
-- what is missing of the payments. Only rows of this run can change it, and those they replace.
with staged as (
    select number, entity, fiscal_year, instalment, account from receivables.staged_open_item where run_id = %(run_id)s
    union all
    select number, entity, fiscal_year, line, account from receivables.staged_receipt where run_id = %(run_id)s),
gap as (
    select entity, currency, original - open as amount, company_original - company_open as company_amount
    from receivables.staged_open_item
    where run_id = %(run_id)s and cleared_on is null and carries = 'whole'
      and (original <> open or company_original <> company_open)
    union all
    select entity, currency, unapplied - amount, company_unapplied - company_amount
    from receivables.staged_receipt
    where run_id = %(run_id)s and cleared_on is null and carries = 'whole'
    union all
    select c.entity, c.currency, c.open - c.original, c.company_open - c.company_original
    from staged s
    join receivables.open_item c
      on c.tenant_id = %(tenant_id)s and c.connector_id = %(connector_id)s and c.number = s.number
     and c.entity = s.entity and c.fiscal_year = s.fiscal_year and c.instalment = s.instalment
     and c.account = s.account
    where c.cleared_on is null and c.carries = 'whole'
    union all
    select c.entity, c.currency, c.amount - c.unapplied, c.company_amount - c.company_unapplied
    from staged s
    join receivables.receipt c
      on c.tenant_id = %(tenant_id)s and c.connector_id = %(connector_id)s and c.number = s.number
     and c.entity = s.entity and c.fiscal_year = s.fiscal_year and c.line = s.instalment and c.account = s.account
    where c.cleared_on is null and c.carries = 'whole')
select true,
       entity || ', ' || currency || ': allocations took ' || sum(amount) || ' more off open items than off payments'
       || ' (' || sum(company_amount) || ' in company currency).'
from gap group by entity, currency
having sum(amount) <> 0 or sum(company_amount) <> 0
order by entity, currency;

-- name: instalments
-- Published documents that this run does not bring, whose total would not be the sum of their instalments any more.
with published as (
    select from receivables.publication
    where tenant_id = %(tenant_id)s and connector_id = %(connector_id)s limit 1),
change as (
    select number, entity, fiscal_year, original as amount
    from receivables.staged_open_item where run_id = %(run_id)s and exists (select from published)
    union all
    select c.number, c.entity, c.fiscal_year, -c.original
    from receivables.staged_open_item s
    join receivables.open_item c
      on c.tenant_id = %(tenant_id)s and c.connector_id = %(connector_id)s and c.number = s.number
     and c.entity = s.entity and c.fiscal_year = s.fiscal_year and c.instalment = s.instalment
     and c.account = s.account
    where s.run_id = %(run_id)s),
changed as materialized (
    select number, entity, fiscal_year, sum(amount) as amount
    from change group by number, entity, fiscal_year having sum(amount) <> 0)
select true,
       'Document ' || concat_ws('/', d.number, nullif(d.fiscal_year, '')) || ' of ' || d.entity || ' is of ' || d.total_incl || ' '
       || d.currency || ', its instalments sum to ' || d.total_incl + changed.amount || '.'
from changed
join receivables.document d
  on d.tenant_id = %(tenant_id)s and d.connector_id = %(connector_id)s and d.number = changed.number
 and d.entity = changed.entity and d.fiscal_year = changed.fiscal_year
where not exists (
    select from receivables.staged_document s
    where s.run_id = %(run_id)s and s.number = d.number and s.entity = d.entity and s.fiscal_year = d.fiscal_year)
order by d.entity, d.number limit 5;

-- name: credit_notes
-- Credit notes of this run that add to the balance; one that takes another back does.
select false,
       'Credit note ' || concat_ws('/', d.number, nullif(d.fiscal_year, '')) || ' of ' || d.entity || ', customer ' || d.customer
       || ', adds ' || sum(i.original) || ' ' || d.currency || ' to the balance.'
from receivables.staged_document d
join receivables.staged_open_item i
  on i.run_id = d.run_id and i.number = d.number and i.entity = d.entity and i.fiscal_year = d.fiscal_year
where d.run_id = %(run_id)s and d.kind = 'credit_note' and d.reversal_of is null
group by d.number, d.fiscal_year, d.entity, d.type, d.customer, d.currency
having sum(i.original) > 0
order by d.entity, d.number limit 5;

-- name: rates
-- Items of this run whose company amount is more than one unit away from the amount at the document's rate.
select false,
       'Item ' || concat_ws('/', i.number, nullif(i.fiscal_year, ''), i.instalment) || ' of ' || i.entity || ': '
       || i.original
       || ' ' || i.currency || ' at ' || d.rate || ' is not ' || i.company_original || ' ' || i.company_currency || '.'
from receivables.staged_document d
join receivables.staged_open_item i
  on i.run_id = d.run_id and i.number = d.number and i.entity = d.entity and i.fiscal_year = d.fiscal_year
where d.run_id = %(run_id)s and d.rate is not null
  and abs(round(i.original * d.rate, scale(i.company_original)) - i.company_original)
      > power(10::numeric, -scale(i.company_original))
order by i.entity, i.number, i.instalment limit 5;

-- name: net_and_tax
-- Billing documents of this run whose net and tax are not their gross.
select false,
       'Billing document ' || number || ' of ' || entity || ': net ' || total_excl || ' and tax ' || tax_total || ' are not '
       || total_incl || ' ' || currency || '.'
from receivables.staged_billing_document
where run_id = %(run_id)s and total_excl + tax_total <> total_incl
order by entity, number limit 5;

-- name: taxes
-- Billing documents of this run whose taxes by category and rate are not their tax.
select false,
       'Billing document ' || number || ' of ' || entity || ': its taxes sum to ' || summed.tax || ' ' || currency
       || ', it says ' || tax_total || '.'
from receivables.staged_billing_document
cross join lateral (
    select coalesce(sum((one.value ->> 3)::numeric), 0) as tax from jsonb_array_elements(taxes) as one) as summed
where run_id = %(run_id)s and summed.tax <> tax_total
order by entity, number limit 5;

-- name: billed
-- Documents of this run, and those whose billing document it read, that are not of what was invoiced: credits may
-- be printed without a sign.
with {touched},
summed as (
    select number, entity, fiscal_year, sum(original) as total
    from (
        select number, entity, fiscal_year, original from receivables.staged_open_item where run_id = %(run_id)s
        union all
        select c.number, c.entity, c.fiscal_year, c.original
        from document d
        join receivables.open_item c
          on c.tenant_id = %(tenant_id)s and c.connector_id = %(connector_id)s and c.number = d.number
         and c.entity = d.entity and c.fiscal_year = d.fiscal_year
        where not exists (
            select from receivables.staged_open_item s
            where s.run_id = %(run_id)s and s.number = c.number and s.entity = c.entity
              and s.fiscal_year = c.fiscal_year and s.instalment = c.instalment and s.account = c.account)) as item
    group by number, entity, fiscal_year)
select false,
       'Document ' || concat_ws('/', d.number, nullif(d.fiscal_year, '')) || ' of ' || d.entity || ': its items sum to '
       || s.total || ' ' || d.currency || ', billing document ' || b.number || ' says ' || abs(b.total_incl) || ' '
       || b.currency || '.'
from document d
join billing b on b.number = d.billing_document and b.entity = d.entity
join summed s on s.number = d.number and s.entity = d.entity and s.fiscal_year = d.fiscal_year
where abs(s.total) <> abs(b.total_incl) or d.currency <> b.currency
order by d.entity, d.number, d.fiscal_year limit 5;

-- name: unbilled
-- Documents of this run whose billing document was not found where others are.
with unknown as (
    select d.entity, d.number, d.billing_document
    from receivables.staged_document d
    where d.run_id = %(run_id)s and d.billing_document is not null
      and d.kind in ('invoice', 'credit_note', 'debit_note')
      and (d.billing_document, d.entity) not in (
        select number, entity from receivables.staged_billing_document where run_id = %(run_id)s)
      and (d.billing_document, d.entity) not in (
        select number, entity from receivables.billing_document
        where tenant_id = %(tenant_id)s and connector_id = %(connector_id)s))
select false,
       'Billing document ' || min(billing_document || ' of ' || entity) || ' is not shown to the user, so net and tax of'
       || ' its document are unknown (one of ' || count(*) || ' such documents).'
from unknown
where exists (select from receivables.staged_billing_document where run_id = %(run_id)s)
   or exists (select from receivables.billing_document
              where tenant_id = %(tenant_id)s and connector_id = %(connector_id)s)
having count(*) > 0;
