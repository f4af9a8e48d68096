-- name: sign
-- What the amounts of a billing document (b) are multiplied by, so that they have the sign of its document (d): a
-- credit note takes from the debt and what takes one back adds to it, however the ERP prints credits.
case when (b.total_incl < 0) = ((d.kind = 'credit_note') = (d.reversal_of is null)) then 1 else -1 end;

-- name: touched
-- Two common table expressions: the documents of this run with a billing document and those whose billing document
-- it read, and these billing documents.
document as materialized (
    select number, entity, fiscal_year, type, kind, reversal_of, currency, billing_document
    from receivables.staged_document where run_id = %(run_id)s and billing_document is not null
      and kind in ('invoice', 'credit_note', 'debit_note')
    union all
    select c.number, c.entity, c.fiscal_year, c.type, c.kind, c.reversal_of, c.currency, c.billing_document
    from receivables.staged_billing_document s
    join receivables.document c
      on c.tenant_id = %(tenant_id)s and c.connector_id = %(connector_id)s and c.billing_document = s.number
     and c.entity = s.entity
    where s.run_id = %(run_id)s and c.kind in ('invoice', 'credit_note', 'debit_note')
      and not exists (
        select from receivables.staged_document other
        where other.run_id = %(run_id)s and other.number = c.number and other.entity = c.entity
          and other.fiscal_year = c.fiscal_year and other.type = c.type)),
billing as materialized (
    select number, entity, currency, total_incl, taxes from receivables.staged_billing_document where run_id = %(run_id)s
    union all
    select c.number, c.entity, c.currency, c.total_incl, c.taxes
    from receivables.billing_document c
    where c.tenant_id = %(tenant_id)s and c.connector_id = %(connector_id)s
      and (c.number, c.entity) in (select billing_document, entity from document)
      and (c.number, c.entity) not in (
        select number, entity from receivables.staged_billing_document where run_id = %(run_id)s));

-- name: cancelled
-- Documents of this run, and those whose billing document it read, that a billing document says otherwise of: it was
-- cancelled, or takes another one back. Each as it is, then with the status, the reversed document and the kind.
with billing as materialized (
    select number, entity, status, cancels from receivables.staged_billing_document
    where run_id = %(run_id)s and (status = 'cancelled' or cancels is not null)
    union all
    select c.number, c.entity, c.status, c.cancels
    from receivables.billing_document c
    where c.tenant_id = %(tenant_id)s and c.connector_id = %(connector_id)s
      and (c.status = 'cancelled' or c.cancels is not null)
      and (c.number, c.entity) in (
        select billing_document, entity from receivables.staged_document where run_id = %(run_id)s)
      and (c.number, c.entity) not in (
        select number, entity from receivables.staged_billing_document where run_id = %(run_id)s)),
named as (select number, entity from billing union select cancels, entity from billing where cancels is not null),
document as materialized (
    select {staged_columns} from receivables.staged_document s
    where s.run_id = %(run_id)s and (s.billing_document, s.entity) in (select number, entity from named)
    union all
    select {current_columns}
    from named
    join receivables.document c
      on c.tenant_id = %(tenant_id)s and c.connector_id = %(connector_id)s and c.billing_document = named.number
     and c.entity = named.entity
    where not exists (
        select from receivables.staged_document s
        where s.run_id = %(run_id)s and s.number = c.number and s.entity = c.entity
          and s.fiscal_year = c.fiscal_year and s.type = c.type)),
-- A document that takes another one back in the ledger may name the billing document of that as well.
original as (
    select distinct on (entity, billing_document) entity, billing_document, number, fiscal_year, kind
    from document where kind in ('invoice', 'credit_note', 'debit_note')
    order by entity, billing_document, reversal_of nulls first, number),
completed as (
    select d.*,
           case when b.status = 'cancelled' and d.status = 'posted' then 'cancelled' else d.status end as new_status,
           coalesce(o.number || '/' || o.fiscal_year, d.reversal_of) as new_reversal_of,
           coalesce(o.kind, d.kind) as new_kind
    from document d
    join billing b on b.number = d.billing_document and b.entity = d.entity
    left join original o on o.billing_document = b.cancels and o.entity = d.entity
    where d.kind in ('invoice', 'credit_note', 'debit_note'))
select {columns}, new_status, new_reversal_of, new_kind
from completed
where status <> new_status or reversal_of is distinct from new_reversal_of or kind <> new_kind;

-- name: forget_documents
-- Staged documents in whose place come others.
delete from receivables.staged_document as d
using unnest(%(numbers)s::text[], %(entities)s::text[], %(years)s::text[], %(types)s::text[])
      as gone (number, entity, fiscal_year, type)
where d.run_id = %(run_id)s and d.number = gone.number and d.entity = gone.entity
  and d.fiscal_year = gone.fiscal_year and d.type = gone.type;

-- name: forget_taxes
-- What was worked out before more was read.
delete from receivables.staged_document_tax where run_id = %(run_id)s and seq < 0;

-- name: taxes
-- The taxes of this run's documents, and of those whose billing document it read, with the document's sign.
insert into receivables.staged_document_tax
    (run_id, seq, digest, number, entity, fiscal_year, type, category, rate, base, tax)
with {touched},
tax as (
    select d.number, d.entity, d.fiscal_year, d.type, one.value ->> 0 as category, (one.value ->> 1)::numeric as rate,
           {sign} * (one.value ->> 2)::numeric as base, {sign} * (one.value ->> 3)::numeric as tax
    from document d
    join billing b on b.number = d.billing_document and b.entity = d.entity
    cross join lateral jsonb_array_elements(b.taxes) as one)
select %(run_id)s, -1, ('x' || md5(concat_ws(e'\t', number, entity, fiscal_year, type, category, rate, base, tax)))::bit(128),
       tax.*
from tax;

-- name: withdraw_taxes
-- Published taxes of this run's documents, of those whose billing document it read and of those that it takes away,
-- which are not stated any more.
insert into receivables.staged_withdrawal (run_id, seq, kind, key)
select %(run_id)s, -1, 'document_tax', array[t.number, t.entity, t.fiscal_year, t.type, t.category, t.rate::text]
from (
    select number, entity, fiscal_year, type from receivables.staged_document where run_id = %(run_id)s
    union
    select c.number, c.entity, c.fiscal_year, c.type
    from receivables.staged_billing_document s
    join receivables.document c
      on c.tenant_id = %(tenant_id)s and c.connector_id = %(connector_id)s and c.billing_document = s.number
     and c.entity = s.entity
    where s.run_id = %(run_id)s
    union
    select key[1], key[2], key[3], key[4] from receivables.staged_withdrawal
    where run_id = %(run_id)s and kind = 'document') as d
join receivables.document_tax t
  on t.tenant_id = %(tenant_id)s and t.connector_id = %(connector_id)s and t.number = d.number
 and t.entity = d.entity and t.fiscal_year = d.fiscal_year and t.type = d.type
where not exists (
    select from receivables.staged_document_tax s
    where s.run_id = %(run_id)s and s.number = t.number and s.entity = t.entity and s.fiscal_year = t.fiscal_year
      and s.type = t.type and s.category = t.category and s.rate = t.rate);

-- name: to_read
-- Billing documents that this run's documents name, or those of all runs in one that reads everything, and that
-- were never read: the first of them behind one.
select d.entity, d.billing_document
from (
    select entity, billing_document, kind from receivables.staged_document where run_id = %(run_id)s
    union all
    select entity, billing_document, kind from receivables.document
    where %(everything)s and tenant_id = %(tenant_id)s and connector_id = %(connector_id)s) as d
where d.billing_document is not null and d.kind in ('invoice', 'credit_note', 'debit_note')
  and (d.entity, d.billing_document) > (%(entity)s, %(number)s)
except
select entity, number from receivables.staged_billing_document where run_id = %(run_id)s
except
select entity, number from receivables.billing_document
where tenant_id = %(tenant_id)s and connector_id = %(connector_id)s
order by 1, 2 limit %(many)s;
