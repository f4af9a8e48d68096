-- name: last_run
-- The connector's latest run.
select number, state, mode, reason, message, explanation, opened_at, ended_at, rows_read, rows_staged, rejects, suspects,
       notes, decided_by
from receivables.run
where tenant_id = %(tenant_id)s and connector_id = %(connector_id)s
order by number desc limit 1;

-- name: runs
-- The connector's latest runs.
select number, state, mode, reason, message, explanation, opened_at, ended_at, rows_read, rows_staged, rejects, suspects,
       notes, decided_by
from receivables.run
where tenant_id = %(tenant_id)s and connector_id = %(connector_id)s
  and (%(state)s::text is null or state = %(state)s) and (%(number)s::integer is null or number = %(number)s)
order by number desc limit %(limit)s;

-- name: publication
-- What everybody sees.
select number, published_at, grade, counts, changes, totals, content_hash::text
from receivables.publication
where tenant_id = %(tenant_id)s and connector_id = %(connector_id)s
order by number desc limit 1;

-- name: published_with
-- What is kept beside what everybody sees: the difference that was waived, if there was one.
select message from receivables.run
where tenant_id = %(tenant_id)s and connector_id = %(connector_id)s and state = 'published'
order by number desc limit 1;

-- name: unpublished_since
-- When the first run after the last publication ended without publishing.
select min(r.ended_at) from receivables.run r
where r.tenant_id = %(tenant_id)s and r.connector_id = %(connector_id)s
  and r.number > coalesce((
    select max(p.number) from receivables.run p
    where p.tenant_id = %(tenant_id)s and p.connector_id = %(connector_id)s and p.state = 'published'), 0);

-- name: open_rejects
-- How many rows are set aside and not settled.
select count(*) from receivables.reject
where tenant_id = %(tenant_id)s and connector_id = %(connector_id)s and state = 'open';

-- name: compared_run
-- This run, or the latest that was compared.
select number, state, mode, reason, message, explanation, opened_at, ended_at, rows_read, rows_staged, rejects, suspects,
       notes, decided_by
from receivables.run r
where tenant_id = %(tenant_id)s and connector_id = %(connector_id)s
  and case when %(run)s::integer is null
           then exists (select from receivables.tie_out t where t.run_id = r.run_id)
           else number = %(run)s end
order by number desc limit 1;

-- name: tie_outs
-- The lines of one comparison, whole accounts before their customers.
select t.entity, t.account, t.basis, t.currency, t.customer, t.as_of, t.grade, erp.closing as erp, hub.closing as hub,
       erp.items as erp_items, hub.items as hub_items, t.status, t.explanation
from receivables.tie_out t
join receivables.run r on r.run_id = t.run_id
join receivables.control_total erp
  on erp.run_id = t.run_id and erp.account = t.account and erp.entity = t.entity and erp.basis = t.basis
 and erp.currency = t.currency and erp.customer is not distinct from t.customer and erp.source = 'erp'
join receivables.control_total hub
  on hub.run_id = t.run_id and hub.account = t.account and hub.entity = t.entity and hub.basis = t.basis
 and hub.currency = t.currency and hub.customer is not distinct from t.customer and hub.source = 'hub'
where r.tenant_id = %(tenant_id)s and r.connector_id = %(connector_id)s and r.number = %(run)s
order by t.entity, t.account, t.basis, t.currency, t.customer nulls first;

-- name: suspects
-- Open lines that the last sweep did not show.
select %(connector)s as connector, s.entity, s.printed as document, s.number, s.fiscal_year, s.line, s.account,
       s.customer, s.amount, s.currency, r.number as run, s.since
from receivables.suspect s
join receivables.run r on r.run_id = s.run_id
where s.tenant_id = %(tenant_id)s and s.connector_id = %(connector_id)s
order by s.entity, s.customer, s.number, s.line, s.account;

-- name: closings
-- What closed with two proofs, newest first.
select %(connector)s as connector, c.entity, c.printed as document, c.number, c.fiscal_year, c.line, c.account,
       c.customer, c.amount, c.currency, r.number as run, c.closed_at, c.first_proof, c.second_proof
from receivables.closing c
join receivables.run r on r.run_id = c.run_id
where c.tenant_id = %(tenant_id)s and c.connector_id = %(connector_id)s
order by c.closed_at desc, c.entity, c.number, c.line, c.account
limit 1000;
