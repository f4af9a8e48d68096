-- name: forget
-- What was found before more was read.
delete from receivables.staged_alias where run_id = %(run_id)s;

-- name: renumbered
-- Published numbers of customers that have another number now, by the ERP's own id.
insert into receivables.staged_alias (run_id, entity, number, alias_of)
select %(run_id)s, old.entity, old.number, max(new.number)
from receivables.customer old
join (
    select entity, number, native_id, null::timestamptz as known_from
    from receivables.staged_customer where run_id = %(run_id)s
    union all
    select entity, number, native_id, known_from from receivables.customer
    where tenant_id = %(tenant_id)s and connector_id = %(connector_id)s) as new
  on new.entity = old.entity and new.native_id = old.native_id and new.number <> old.number
 and (new.known_from is null or new.known_from > old.known_from)
where old.tenant_id = %(tenant_id)s and old.connector_id = %(connector_id)s
  and not exists (
    select from receivables.staged_customer same
    where same.run_id = %(run_id)s and same.entity = old.entity and same.number = old.number)
group by old.entity, old.number;

-- name: deleted
-- Published customers that the ERP's records call deleted: perhaps merged into others.
insert into receivables.staged_alias (run_id, entity, number)
select %(run_id)s, c.entity, c.number
from receivables.staged_deleted d
join receivables.customer c
  on c.tenant_id = %(tenant_id)s and c.connector_id = %(connector_id)s and c.native_id = d.number
where d.run_id = %(run_id)s and d.kind = 'customer' and d.entity in ('', c.entity)
on conflict do nothing;

-- name: by_key
-- Documents and receipts that are published under these numbers.
select i.entity, i.fiscal_year, i.number
from receivables.staged_alias a
join receivables.open_item i
  on i.tenant_id = %(tenant_id)s and i.connector_id = %(connector_id)s and i.customer = a.number and i.entity = a.entity
where a.run_id = %(run_id)s
union
select r.entity, r.fiscal_year, r.number
from receivables.staged_alias a
join receivables.receipt r
  on r.tenant_id = %(tenant_id)s and r.connector_id = %(connector_id)s and r.customer = a.number and r.entity = a.entity
where a.run_id = %(run_id)s
order by 1, 2, 3;

-- name: merged
-- Into whom a customer was merged: the only one to whom its lines belong now.
update receivables.staged_alias as a
set alias_of = now.customer
from (
    select a.entity, a.number, min(moved.customer) as customer
    from receivables.staged_alias a
    join (
        select i.entity, i.customer as before, s.customer
        from receivables.staged_open_item s
        join receivables.open_item i
          on i.tenant_id = %(tenant_id)s and i.connector_id = %(connector_id)s and i.number = s.number
         and i.entity = s.entity and i.fiscal_year = s.fiscal_year and i.instalment = s.instalment
         and i.account = s.account
        where s.run_id = %(run_id)s
        union all
        select r.entity, r.customer, s.customer
        from receivables.staged_receipt s
        join receivables.receipt r
          on r.tenant_id = %(tenant_id)s and r.connector_id = %(connector_id)s and r.number = s.number
         and r.entity = s.entity and r.fiscal_year = s.fiscal_year and r.line = s.line and r.account = s.account
        where s.run_id = %(run_id)s) as moved
      on moved.entity = a.entity and moved.before = a.number and moved.customer not in (a.number, '')
    where a.run_id = %(run_id)s
    group by a.entity, a.number
    having count(distinct moved.customer) = 1) as now
where a.run_id = %(run_id)s and a.alias_of is null and a.entity = now.entity and a.number = now.number;

-- name: unfounded
-- Numbers that lines still have, and customers that nobody took over.
delete from receivables.staged_alias as a
where a.run_id = %(run_id)s
  and (a.alias_of is null
       or exists (select from ({lines}) as l where l.entity = a.entity and l.customer = a.number));

-- name: withdraw
-- Customers whose number is an alias from now on.
insert into receivables.staged_withdrawal (run_id, seq, kind, key)
select run_id, -1, 'customer', array[number, entity] from receivables.staged_alias where run_id = %(run_id)s;

-- name: lead_on
-- Aliases of a number that is one itself now lead to where that leads.
update receivables.customer_alias as known
set alias_of = a.alias_of
from receivables.staged_alias a
where a.run_id = %(run_id)s and known.tenant_id = %(tenant_id)s and known.connector_id = %(connector_id)s
  and known.entity = a.entity and known.alias_of = a.number;

-- name: end
-- Aliases that are a customer's number again.
delete from receivables.customer_alias as known
using receivables.customer c
where known.tenant_id = %(tenant_id)s and known.connector_id = %(connector_id)s
  and c.tenant_id = %(tenant_id)s and c.connector_id = %(connector_id)s
  and c.number = known.number and c.entity = known.entity;

-- name: keep
-- The aliases that this run found, from its day on.
insert into receivables.customer_alias (tenant_id, connector_id, entity, number, alias_of, since, run_id)
select %(tenant_id)s, %(connector_id)s, entity, number, alias_of, %(day)s, run_id
from receivables.staged_alias where run_id = %(run_id)s
on conflict (tenant_id, connector_id, entity, number) do update
set alias_of = excluded.alias_of, since = excluded.since, run_id = excluded.run_id;
