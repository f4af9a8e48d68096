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
-- Current and staged items are added and the replaced ones taken off: cheaper than looking for each current
-- item whether it is replaced.
item as not materialized (
    select entity, account, customer, currency, company_currency, original, company_original, posted_on, cleared_on,
           1 as items
    from receivables.open_item where tenant_id = %(tenant_id)s and connector_id = %(connector_id)s
    union all
    select entity, account, customer, currency, company_currency, original, company_original, posted_on, cleared_on, 1
    from receivables.staged_open_item where run_id = %(run_id)s
    union all
    select c.entity, c.account, c.customer, c.currency, c.company_currency, -c.original, -c.company_original,
           c.posted_on, c.cleared_on, -1
    from receivables.staged_open_item s
    join receivables.open_item c
      on c.tenant_id = %(tenant_id)s and c.connector_id = %(connector_id)s and c.number = s.number
     and c.entity = s.entity and c.fiscal_year = s.fiscal_year and c.instalment = s.instalment
     and c.account = s.account
    where s.run_id = %(run_id)s),
-- One pass for each day: summed inside, or the planner would keep all items in memory between two days.
counted as materialized (
    select i.*, m.as_of
    from moment m
    cross join lateral (
        select entity, account, customer, currency, company_currency,
               sum(original) as original, sum(company_original) as company_original, sum(items) as items
        from item
        where posted_on <= m.as_of and (cleared_on is null or cleared_on > m.as_of)
        group by entity, account, customer, currency, company_currency
        having sum(items) <> 0) as i),
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

-- name: items
-- The items as they would be after publishing this run: current, overlaid with what is staged.
select entity, account, customer, currency, company_currency, original, company_original, posted_on, cleared_on,
       number, fiscal_year, instalment, due_on, dunning_level
from receivables.staged_open_item where run_id = %(run_id)s
union all
select c.entity, c.account, c.customer, c.currency, c.company_currency, c.original, c.company_original, c.posted_on,
       c.cleared_on, c.number, c.fiscal_year, c.instalment, c.due_on, c.dunning_level
from receivables.open_item c
where c.tenant_id = %(tenant_id)s and c.connector_id = %(connector_id)s
  and not exists (
    select from receivables.staged_open_item s
    where s.run_id = %(run_id)s and s.number = c.number and s.entity = c.entity
      and s.fiscal_year = c.fiscal_year and s.instalment = c.instalment and s.account = c.account);

-- name: accounts
-- Every control account that items are on, open or cleared, or that the ERP named: adapters name those of items.
select entity, account from receivables.control_account
      where tenant_id = %(tenant_id)s and connector_id = %(connector_id)s
union select distinct entity, account from receivables.staged_open_item where run_id = %(run_id)s
union select entity, account from receivables.staged_control_account where run_id = %(run_id)s
order by 1, 2;

-- name: our_documents
-- Our documents behind one total, with what each adds to it.
select number || '/' || fiscal_year as document,
       sum(case when %(basis)s = 'company' then company_original else original end)::text as amount
from ({items}) as item
where entity = %(entity)s and account = %(account)s
  and case when %(basis)s = 'company' then company_currency else currency end = %(currency)s
  and (%(customer)s::text is null or customer = %(customer)s)
  and posted_on <= %(as_of)s and (cleared_on is null or cleared_on > %(as_of)s)
group by number, fiscal_year
order by number, fiscal_year;

-- name: read_again
-- Documents of which the sweep shows an item that we do not hold, or hold otherwise.
select distinct s.entity, s.fiscal_year, s.number
from receivables.staged_swept s
left join ({items}) as i
  on i.number = s.number and i.entity = s.entity and i.fiscal_year = s.fiscal_year
 and i.instalment = s.instalment and i.account = s.account
where s.run_id = %(run_id)s
  and (i.number is null or i.cleared_on is not null or i.customer <> s.customer or i.currency <> s.currency
       or i.original <> s.original or i.company_original <> s.company_original
       or i.due_on is distinct from s.due_on or i.dunning_level is distinct from s.dunning_level)
order by 1, 2, 3;

-- name: suspects
-- Open items that we hold and the sweep of their entity does not show; they stay open without a second proof.
select count(*) from ({items}) as i
where i.cleared_on is null
  and i.entity in (select entity from receivables.staged_swept where run_id = %(run_id)s)
  and not exists (
    select from receivables.staged_swept s
    where s.run_id = %(run_id)s and s.number = i.number and s.entity = i.entity
      and s.fiscal_year = i.fiscal_year and s.instalment = i.instalment and s.account = i.account);
