-- name: bucket
-- The bucket of an item on a day, by the days that it is overdue.
case when due_on is null then 'no_due_date'
     when due_on >= %(day)s::date then 'not_due'
     when %(day)s::date - due_on <= 30 then '1-30'
     when %(day)s::date - due_on <= 60 then '31-60'
     when %(day)s::date - due_on <= 90 then '61-90'
     when %(day)s::date - due_on <= 180 then '91-180'
     else 'over 180' end;

-- name: ageing
-- What was owed at the end of the day, by bucket; a receipt that is not applied takes it down.
with line as (
    select entity, customer, currency, company_currency, open as amount, company_open as company_amount,
           {bucket} as bucket
    from ({open_item}) as item
    where open <> 0 or company_open <> 0
    union all
    select entity, customer, currency, company_currency, -unapplied, -company_unapplied, 'unapplied'
    from ({receipt}) as receipt
    where unapplied <> 0 or company_unapplied <> 0)
select {entity} as entity, {customer} as customer, currency, company_currency, bucket, sum(amount) as amount,
       sum(company_amount) as company_amount, count(*) as lines
from line
group by 1, 2, 3, 4, 5
order by 1, 2, 3, 4, 5;

-- name: names
-- The names of customers on that day.
select entity, number, name from ({customer}) as customer where name is not null;
