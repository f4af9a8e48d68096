-- name: customers
-- The customer in each company, by the number as we keep it, as the ERP prints it, or as it was before.
select entity, number, printed, name, country, currency, payment_terms
from ({customer}) as customer
where number = %(customer)s or printed = %(customer)s
   or (entity, number) in (
       select a.entity, a.alias_of from receivables.customer_alias a
       where a.tenant_id = %(tenant_id)s and a.connector_id = %(connector_id)s and a.number = %(customer)s
         and a.since <= %(day)s)
order by entity, number;

-- name: items
-- What was open of the customer, the oldest debt first.
select i.entity, i.number, i.fiscal_year, i.instalment, i.account, d.kind, d.type, coalesce(d.printed, i.number) as printed,
       d.reference, d.issued_on, i.posted_on, i.due_on, {bucket} as bucket, i.currency, i.original, i.open,
       i.company_currency, i.company_original, i.company_open, i.dunning_level, i.payment_block,
       d.total_excl, d.tax_total, d.total_incl
from ({open_item}) as i
left join ({document}) as d
  on d.number = i.number and d.entity = i.entity and d.fiscal_year = i.fiscal_year
where i.customer = any(%(numbers)s) and (i.open <> 0 or i.company_open <> 0)
order by i.entity, i.currency, i.due_on nulls last, i.number, i.instalment;

-- name: receipts
-- The customer's receipts that were not applied, and those that paid something of what was open.
with paid as materialized (
    select a.entity, a.source_number, a.source_fiscal_year, a.source_line
    from ({allocation}) as a
    join ({open_item}) as i
      on i.number = a.target_number and i.entity = a.entity and i.fiscal_year = a.target_fiscal_year
     and i.instalment = a.target_instalment and i.account = a.target_account
    where i.customer = any(%(numbers)s) and (i.open <> 0 or i.company_open <> 0))
select r.entity, r.number, r.fiscal_year, r.line, r.account, r.customer, r.printed, r.booked_on, r.value_on, r.status,
       r.currency, r.amount, r.unapplied, r.company_currency, r.company_amount, r.company_unapplied, r.bank_reference,
       r.text
from ({receipt}) as r
where r.customer = any(%(numbers)s) and (r.unapplied <> 0 or r.company_unapplied <> 0)
   or (r.entity, r.number, r.fiscal_year, r.line) in (
       select entity, source_number, source_fiscal_year, source_line from paid)
order by r.entity, r.currency, r.booked_on, r.number, r.line;

-- name: allocations
-- What was put on what was open, and what was taken from it or from receipts that were not applied whole.
with line as materialized (
    select i.entity, i.number, i.fiscal_year, i.instalment as line
    from ({open_item}) as i
    where i.customer = any(%(numbers)s) and (i.open <> 0 or i.company_open <> 0)
    union all
    select r.entity, r.number, r.fiscal_year, r.line
    from ({receipt}) as r
    where r.customer = any(%(numbers)s) and (r.unapplied <> 0 or r.company_unapplied <> 0))
select a.entity, a.source, a.source_number, a.source_fiscal_year, a.source_line,
       coalesce(from_document.printed, from_receipt.printed, a.source_number) as source_printed, a.target_number,
       a.target_fiscal_year, a.target_instalment, coalesce(target.printed, a.target_number) as target_printed,
       a.currency, a.amount, a.discount, a.company_currency, a.company_amount, a.company_discount,
       a.company_difference, a.allocated_on, a.derived
from ({allocation}) as a
left join ({document}) as target
  on target.number = a.target_number and target.entity = a.entity and target.fiscal_year = a.target_fiscal_year
left join ({document}) as from_document
  on from_document.number = a.source_number and from_document.entity = a.entity
 and from_document.fiscal_year = a.source_fiscal_year
left join ({receipt}) as from_receipt
  on from_receipt.number = a.source_number and from_receipt.entity = a.entity
 and from_receipt.fiscal_year = a.source_fiscal_year and from_receipt.line = a.source_line
where (a.entity, a.target_number, a.target_fiscal_year, a.target_instalment) in (
          select entity, number, fiscal_year, line from line)
   or (a.entity, a.source_number, a.source_fiscal_year, a.source_line) in (
          select entity, number, fiscal_year, line from line)
order by a.entity, a.allocated_on, a.number, a.sequence;
