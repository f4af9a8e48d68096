-- name: tie_out
-- The ERP's totals beside ours: every account as a whole, and of its customers those that differ.
with erp as (
    select entity, account, basis, currency, customer, as_of, grade, closing, items
    from receivables.staged_control_total where run_id = %(run_id)s and at = 'after'),
moment as (
    select as_of from erp
    union select %(day)s::date where not exists (select from erp)),
-- Where the ERP gives no total for an account, the day is that of the entity's other accounts.
asked as (
    select entity, basis, customer is not null as part, max(as_of) as as_of from erp group by 1, 2, 3),
-- Current and staged lines are added and the replaced ones taken off: cheaper than looking for each current
-- line whether it is replaced. A receipt takes down what an item adds.
staged as not materialized (
    select number, entity, fiscal_year, instalment, account from receivables.staged_open_item where run_id = %(run_id)s
    union all
    select number, entity, fiscal_year, line, account from receivables.staged_receipt where run_id = %(run_id)s
    union all
    select number, entity, fiscal_year, line, account from receivables.staged_closing
    where run_id = %(run_id)s and not cleared),
line as not materialized (
    select entity, account, customer, currency, company_currency, carries, original as whole, open as rest,
           company_original as company_whole, company_open as company_rest, posted_on, cleared_on, 1 as items
    from receivables.open_item where tenant_id = %(tenant_id)s and connector_id = %(connector_id)s
    union all
    select entity, account, customer, currency, company_currency, carries, original, open, company_original,
           company_open, posted_on, cleared_on, 1
    from receivables.staged_open_item where run_id = %(run_id)s
    union all
    select c.entity, c.account, c.customer, c.currency, c.company_currency, c.carries, -c.original, -c.open,
           -c.company_original, -c.company_open, c.posted_on, c.cleared_on, -1
    from staged s
    join receivables.open_item c
      on c.tenant_id = %(tenant_id)s and c.connector_id = %(connector_id)s and c.number = s.number
     and c.entity = s.entity and c.fiscal_year = s.fiscal_year and c.instalment = s.instalment
     and c.account = s.account
    union all
    select entity, account, customer, currency, company_currency, carries, -amount - not_cash, -unapplied,
           -company_amount - company_not_cash, -company_unapplied, booked_on, cleared_on, 1
    from receivables.receipt where tenant_id = %(tenant_id)s and connector_id = %(connector_id)s
    union all
    select entity, account, customer, currency, company_currency, carries, -amount - not_cash, -unapplied,
           -company_amount - company_not_cash, -company_unapplied, booked_on, cleared_on, 1
    from receivables.staged_receipt where run_id = %(run_id)s
    union all
    select c.entity, c.account, c.customer, c.currency, c.company_currency, c.carries, c.amount + c.not_cash,
           c.unapplied, c.company_amount + c.company_not_cash, c.company_unapplied, c.booked_on, c.cleared_on, -1
    from staged s
    join receivables.receipt c
      on c.tenant_id = %(tenant_id)s and c.connector_id = %(connector_id)s and c.number = s.number
     and c.entity = s.entity and c.fiscal_year = s.fiscal_year and c.line = s.instalment and c.account = s.account),
{put_back},
-- One pass for each day: summed inside, or the planner would keep all lines in memory between two days.
counted as materialized (
    select i.*, m.as_of
    from moment m
    cross join lateral (
        select entity, account, customer, currency, company_currency,
               sum(amount) as original, sum(company_amount) as company_original, sum(items) as items
        from (select entity, account, customer, currency, company_currency,
                     case carries when 'whole' then whole else rest end as amount,
                     case carries when 'whole' then company_whole else company_rest end as company_amount, items
              from line
              where posted_on <= m.as_of and (cleared_on is null or cleared_on > m.as_of)
              union all
              select entity, account, customer, currency, company_currency, amount, company_amount, 0
              from put_back where posted_on <= m.as_of and allocated_on > m.as_of) as one
        group by entity, account, customer, currency, company_currency
        having sum(items) <> 0 or sum(amount) <> 0 or sum(company_amount) <> 0) as i),
part as (
    select entity, account, 'company' as basis, company_currency as currency, customer, as_of,
           sum(company_original) as closing, sum(items) as items
    from counted group by entity, account, company_currency, customer, as_of
    union all
    select entity, account, 'document', currency, customer, as_of, sum(original), sum(items)
    from counted group by entity, account, currency, customer, as_of),
hub as (
    select entity, account, basis, currency, customer, as_of, closing, items from part
    union all
    select entity, account, basis, currency, null, as_of, sum(closing), sum(items)
    from part group by entity, account, basis, currency, as_of),
wanted as (
    select h.* from hub h
    left join asked a on a.entity = h.entity and a.basis = h.basis and a.part = (h.customer is not null)
    where h.as_of = case when a.entity is not null then a.as_of
                         when h.basis = 'company' and h.customer is null then (select max(as_of) from moment) end
      and not exists (
        select from erp e
        where e.entity = h.entity and e.account = h.account and e.basis = h.basis and e.currency = h.currency
          and e.customer is not distinct from h.customer)),
compared as (
    select e.entity, e.account, e.basis, e.currency, e.customer, e.as_of, e.grade, e.closing as erp,
           coalesce(h.closing, 0) as hub, e.items as erp_items, coalesce(h.items, 0) as hub_items, false as missing
    from erp e
    left join hub h on h.entity = e.entity and h.account = e.account and h.basis = e.basis
                   and h.currency = e.currency and h.as_of = e.as_of
                   and coalesce(h.customer, e'\x01') = coalesce(e.customer, e'\x01')
    union all
    select entity, account, basis, currency, customer, as_of, coalesce((select min(grade) from erp), 'ledger'), 0,
           closing, null, items, customer is null
    from wanted),
judged as (
    select *, case
        when missing or erp_items <> hub_items then 'different'
        when erp = hub then 'equal'
        when abs(erp - hub) <= coalesce((%(tolerance)s::jsonb ->> currency)::numeric, 0) then 'within'
        else 'different' end as status
    from compared)
select entity, account, basis, currency, customer, as_of, grade, erp, hub, erp_items, hub_items::bigint, status,
       case when missing then 'The ERP gives no total for this account.'
            when erp_items <> hub_items then 'The ERP counts ' || erp_items || ' items, we count ' || hub_items || '.'
       end as explanation
from judged
where customer is null or status <> 'equal'
order by entity, account, basis, currency, customer nulls first;

-- name: put_back
-- What allocations after the first day of comparison took off lines that carry their rest: two common table
-- expressions, of the allocations as they would be after publishing this run and of their lines.
later as materialized (
    select a.* from (
        select entity, number, sequence, source_number, source_fiscal_year, source_line, target_number,
               target_fiscal_year, target_instalment, target_account, amount, company_amount, discount,
               company_discount, company_difference, allocated_on
        from receivables.staged_allocation where run_id = %(run_id)s
        union all
        select c.entity, c.number, c.sequence, c.source_number, c.source_fiscal_year, c.source_line, c.target_number,
               c.target_fiscal_year, c.target_instalment, c.target_account, c.amount, c.company_amount, c.discount,
               c.company_discount, c.company_difference, c.allocated_on
        from receivables.allocation c
        where c.tenant_id = %(tenant_id)s and c.connector_id = %(connector_id)s
          and c.allocated_on > (select min(as_of) from moment)
          and not exists (
            select from receivables.staged_allocation s
            where s.run_id = %(run_id)s and s.number = c.number and s.entity = c.entity and s.sequence = c.sequence)
          and not exists (
            select from receivables.staged_withdrawal w
            where w.run_id = %(run_id)s and w.kind = 'allocation' and w.key = array[c.number, c.entity, c.sequence])
    ) as a
    where a.allocated_on > (select min(as_of) from moment)),
put_back as materialized (
    select l.number, l.fiscal_year, l.entity, l.account, l.customer, l.currency, l.company_currency, l.posted_on,
           a.allocated_on, a.amount, a.company_amount
    from later a
    cross join lateral (
        select * from ({lines}) as l
        where not l.receipt and l.carries = 'rest' and l.number = a.target_number and l.entity = a.entity
          and l.fiscal_year = a.target_fiscal_year and l.instalment = a.target_instalment
          and l.account = a.target_account) as l
    union all
    select l.number, l.fiscal_year, l.entity, l.account, l.customer, l.currency, l.company_currency, l.posted_on,
           a.allocated_on, a.discount - a.amount, a.company_discount - a.company_amount - a.company_difference
    from later a
    cross join lateral (
        select * from ({lines}) as l
        where l.carries = 'rest' and l.number = a.source_number and l.entity = a.entity
          and l.fiscal_year = a.source_fiscal_year and l.instalment = a.source_line
        order by l.account limit 1) as l)

-- name: lines
-- The lines as they would be after publishing this run: current, overlaid with what is staged, without what closes.
-- Of a receipt, which takes down what an item adds, the amounts are negative.
select entity, account, customer, currency, company_currency, carries, original as whole, open as rest,
       company_original as company_whole, company_open as company_rest, posted_on, cleared_on, number, fiscal_year,
       instalment, due_on, dunning_level, false as receipt
from receivables.staged_open_item where run_id = %(run_id)s
union all
select entity, account, customer, currency, company_currency, carries, -amount - not_cash, -unapplied,
       -company_amount - company_not_cash, -company_unapplied, booked_on, cleared_on, number, fiscal_year, line, null,
       null, true
from receivables.staged_receipt where run_id = %(run_id)s
union all
select c.entity, c.account, c.customer, c.currency, c.company_currency, c.carries, c.original, c.open,
       c.company_original, c.company_open, c.posted_on, c.cleared_on, c.number, c.fiscal_year, c.instalment, c.due_on,
       c.dunning_level, false
from receivables.open_item c
where c.tenant_id = %(tenant_id)s and c.connector_id = %(connector_id)s
  and not exists (
    select from receivables.staged_open_item s
    where s.run_id = %(run_id)s and s.number = c.number and s.entity = c.entity
      and s.fiscal_year = c.fiscal_year and s.instalment = c.instalment and s.account = c.account)
  and not exists (
    select from receivables.staged_receipt s
    where s.run_id = %(run_id)s and s.number = c.number and s.entity = c.entity
      and s.fiscal_year = c.fiscal_year and s.line = c.instalment and s.account = c.account)
  and not exists (
    select from receivables.staged_closing s
    where s.run_id = %(run_id)s and not s.cleared and not s.receipt and s.number = c.number and s.entity = c.entity
      and s.fiscal_year = c.fiscal_year and s.line = c.instalment and s.account = c.account)
union all
select c.entity, c.account, c.customer, c.currency, c.company_currency, c.carries, -c.amount - c.not_cash,
       -c.unapplied, -c.company_amount - c.company_not_cash, -c.company_unapplied, c.booked_on, c.cleared_on, c.number,
       c.fiscal_year, c.line, null, null, true
from receivables.receipt c
where c.tenant_id = %(tenant_id)s and c.connector_id = %(connector_id)s
  and not exists (
    select from receivables.staged_receipt s
    where s.run_id = %(run_id)s and s.number = c.number and s.entity = c.entity
      and s.fiscal_year = c.fiscal_year and s.line = c.line and s.account = c.account)
  and not exists (
    select from receivables.staged_open_item s
    where s.run_id = %(run_id)s and s.number = c.number and s.entity = c.entity
      and s.fiscal_year = c.fiscal_year and s.instalment = c.line and s.account = c.account)
  and not exists (
    select from receivables.staged_closing s
    where s.run_id = %(run_id)s and not s.cleared and s.receipt and s.number = c.number and s.entity = c.entity
      and s.fiscal_year = c.fiscal_year and s.line = c.line and s.account = c.account);

-- name: accounts
-- Every control account that items or receipts are on, open or cleared, or that the ERP named: adapters name
-- those of what they make.
select entity, account from receivables.control_account
      where tenant_id = %(tenant_id)s and connector_id = %(connector_id)s
union select distinct entity, account from receivables.staged_open_item where run_id = %(run_id)s
union select distinct entity, account from receivables.staged_receipt where run_id = %(run_id)s
union select entity, account from receivables.staged_control_account where run_id = %(run_id)s
order by 1, 2;

-- name: our_documents
-- Our documents behind one total, with what each adds to it: as the ledger's own lines are.
with moment as (select %(as_of)s::date as as_of),
{put_back},
counted as (
    select number, fiscal_year, entity, account, customer, currency, company_currency,
           case carries when 'whole' then whole else rest end as amount,
           case carries when 'whole' then company_whole else company_rest end as company_amount
    from ({lines}) as line
    where posted_on <= %(as_of)s and (cleared_on is null or cleared_on > %(as_of)s)
    union all
    select number, fiscal_year, entity, account, customer, currency, company_currency, amount, company_amount
    from put_back where posted_on <= %(as_of)s)
select number || '/' || fiscal_year as document,
       sum(case when %(basis)s = 'company' then company_amount else amount end)::text as amount
from counted
where entity = %(entity)s and account = %(account)s
  and case when %(basis)s = 'company' then company_currency else currency end = %(currency)s
  and (%(customer)s::text is null or customer = %(customer)s)
group by number, fiscal_year
order by number, fiscal_year;

-- name: read_again
-- Documents of which the sweep shows a line that we do not hold, or hold otherwise; a receipt is not dunned.
select distinct s.entity, s.fiscal_year, s.number
from receivables.staged_swept s
left join ({lines}) as l
  on l.number = s.number and l.entity = s.entity and l.fiscal_year = s.fiscal_year
 and l.instalment = s.instalment and l.account = s.account
where s.run_id = %(run_id)s
  and (l.number is null or l.cleared_on is not null or l.customer <> s.customer or l.currency <> s.currency
       or l.whole <> s.original or l.company_whole <> s.company_original
       or not l.receipt and (l.due_on is distinct from s.due_on
                             or l.dunning_level is distinct from s.dunning_level))
order by 1, 2, 3;
