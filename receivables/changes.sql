-- name: rows
-- How many rows of a kind the run adds, changes and takes away.
select count(*) filter (where {a_key} is null),
       count(*) filter (where c.digest <> s.digest),
       (select count(*) from receivables.staged_withdrawal w where w.run_id = %(run_id)s and w.kind = {kind})
from {staged} as s
left join {current} as c on c.tenant_id = %(tenant_id)s and c.connector_id = %(connector_id)s and {same_key}
where s.run_id = %(run_id)s;

-- name: balances
-- Per control account and currency what is owed now and once the run is published, where the two differ.
with owed as (
    select entity, account, currency, open as before, 0 as after
    from receivables.open_item
    where tenant_id = %(tenant_id)s and connector_id = %(connector_id)s and cleared_on is null
    union all
    select entity, account, currency, -unapplied, 0
    from receivables.receipt
    where tenant_id = %(tenant_id)s and connector_id = %(connector_id)s and cleared_on is null
    union all
    select entity, account, currency, 0, rest from ({lines}) as line where cleared_on is null)
select entity, account, currency, sum(before) as before, sum(after) as after
from owed
group by entity, account, currency
having sum(before) <> sum(after)
order by entity, account, currency;
