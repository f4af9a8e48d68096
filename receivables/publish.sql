-- name: insert
-- The first load of a connector: nothing can conflict, and rows in key order make the index cheap.
with new as (
    insert into {current} (tenant_id, connector_id, {columns}, digest, run_id, adapter, known_from)
    select %(tenant_id)s, %(connector_id)s, {fresh_columns}, f.digest, %(run_id)s, %(adapter)s, %(now)s
    from ({fresh}) as f
    order by {key}
    returning digest)
select 0 as changed, null::bit(128) as old, count(*) as written, bit_xor(digest) as new from new;

-- name: merge
-- New and changed rows become current; the version of before moves to history.
with f as materialized ({fresh}),
old as (
    insert into {history} (tenant_id, connector_id, {columns}, digest, run_id, adapter, known_from, known_to)
    select c.tenant_id, c.connector_id, {current_columns}, c.digest, c.run_id, c.adapter, c.known_from, %(now)s
    from {current} as c join f on {same_key}
    where c.tenant_id = %(tenant_id)s and c.connector_id = %(connector_id)s and ({differs})
    returning digest),
new as (
    insert into {current} as c (tenant_id, connector_id, {columns}, digest, run_id, adapter, known_from)
    select %(tenant_id)s, %(connector_id)s, {fresh_columns}, f.digest, %(run_id)s, %(adapter)s, %(now)s
    from f
    on conflict (tenant_id, connector_id, {key}) do update
    set {assignments}, digest = excluded.digest, run_id = excluded.run_id, adapter = excluded.adapter,
        known_from = excluded.known_from
    where {conflict_differs}
    returning digest)
select (select count(*) from old) as changed, (select bit_xor(digest) from old) as old,
       (select count(*) from new) as written, (select bit_xor(digest) from new) as new;

-- name: withdraw
-- Rows that the run takes away move to history.
with gone as (
    delete from {current} as c using receivables.staged_withdrawal as w
    where c.tenant_id = %(tenant_id)s and c.connector_id = %(connector_id)s
      and w.run_id = %(run_id)s and w.kind = {kind} and {same_key}
    returning c.*),
old as (
    insert into {history} (tenant_id, connector_id, {columns}, digest, run_id, adapter, known_from, known_to)
    select c.tenant_id, c.connector_id, {current_columns}, c.digest, c.run_id, c.adapter, c.known_from, %(now)s
    from gone as c)
select count(*) as gone, bit_xor(digest) as old from gone;

-- name: staged
-- The run's rows of a kind, as they are.
select * from {staged} where run_id = %(run_id)s;

-- name: first_documents
-- The run's documents with their totals, on a first load: all items are staged.
select d.*, coalesce(t.total, 0) as total_incl, {sign} * b.total_excl as total_excl, {sign} * b.tax_total as tax_total,
       case when b.number is not null then coalesce(t.prepaid, 0) end as prepaid
from receivables.staged_document d
left join (select number, entity, fiscal_year, sum(original) as total,
                  sum(original) filter (where (entity, account) in (
                      select entity, account from receivables.control_account
                      where tenant_id = %(tenant_id)s and connector_id = %(connector_id)s and kind = 'advances')) as prepaid
           from receivables.staged_open_item where run_id = %(run_id)s
           group by number, entity, fiscal_year) as t using (number, entity, fiscal_year)
left join receivables.billing_document b
  on b.tenant_id = %(tenant_id)s and b.connector_id = %(connector_id)s and b.number = d.billing_document
 and b.entity = d.entity and d.kind in ('invoice', 'credit_note', 'debit_note')
where d.run_id = %(run_id)s;

-- name: documents
-- The run's documents, and those whose billing document it read, with the totals that follow from their items and
-- billing documents, which are merged already.
select d.*, coalesce(t.total, 0) as total_incl, {sign} * b.total_excl as total_excl, {sign} * b.tax_total as tax_total,
       case when b.number is not null then coalesce(t.prepaid, 0) end as prepaid
from (
    select {columns}, digest from receivables.staged_document where run_id = %(run_id)s
    union all
    select {current_columns}, c.digest
    from receivables.staged_billing_document s
    join receivables.document c
      on c.tenant_id = %(tenant_id)s and c.connector_id = %(connector_id)s and c.billing_document = s.number
     and c.entity = s.entity
    where s.run_id = %(run_id)s
      and not exists (
        select from receivables.staged_document other
        where other.run_id = %(run_id)s and other.number = c.number and other.entity = c.entity
          and other.fiscal_year = c.fiscal_year and other.type = c.type)) as d
cross join lateral (
    select sum(i.original) as total,
           sum(i.original) filter (where (i.entity, i.account) in (
               select entity, account from receivables.control_account
               where tenant_id = %(tenant_id)s and connector_id = %(connector_id)s and kind = 'advances')) as prepaid
    from receivables.open_item i
    where i.tenant_id = %(tenant_id)s and i.connector_id = %(connector_id)s
      and i.number = d.number and i.entity = d.entity and i.fiscal_year = d.fiscal_year) as t
left join receivables.billing_document b
  on b.tenant_id = %(tenant_id)s and b.connector_id = %(connector_id)s and b.number = d.billing_document
 and b.entity = d.entity and d.kind in ('invoice', 'credit_note', 'debit_note');

-- name: first_raw_digests
-- The digests of the raw rows of a first load.
insert into receivables.raw_digest (tenant_id, connector_id, stream, key, digest)
select %(tenant_id)s, %(connector_id)s, stream, key, digest
from receivables.staged_raw_digest where run_id = %(run_id)s
order by key; -- not by stream as well: its text is the same for most rows, and comparing it costs as much again

-- name: raw_digests
-- The digests of the raw rows that this run read, in place of those of before.
insert into receivables.raw_digest as published (tenant_id, connector_id, stream, key, digest)
select %(tenant_id)s, %(connector_id)s, stream, key, digest
from receivables.staged_raw_digest where run_id = %(run_id)s
on conflict (tenant_id, connector_id, stream, key) do update set digest = excluded.digest
where published.digest <> excluded.digest;

-- name: bookmarks
-- How far each stream's published rows reach now.
insert into receivables.bookmark as published (tenant_id, connector_id, name, value, run_id)
select %(tenant_id)s, %(connector_id)s, bookmark, max(reached), %(run_id)s
from receivables.page
where run_id = %(run_id)s and bookmark is not null and reached is not null
group by bookmark
on conflict (tenant_id, connector_id, name) do update set value = excluded.value, run_id = excluded.run_id
where published.value is distinct from excluded.value;

-- name: totals
-- What is owed now, per control account and currency: what is open of items, and what of receipts is not applied
-- yet and takes it down again; in whole, and by bucket (`whole` 0). Cleared items and receipts owe nothing. Each
-- row is summed once: the wholes are sums of the buckets.
with part as (
    select entity, account, currency, company_currency, {bucket} as bucket, sum(open) as open,
           sum(company_open) as company_open, count(*) as items, 0 as unapplied, 0 as company_unapplied, 0 as receipts
    from receivables.open_item
    where tenant_id = %(tenant_id)s and connector_id = %(connector_id)s and cleared_on is null
    group by 1, 2, 3, 4, 5
    union all
    select entity, account, currency, company_currency, 'unapplied', 0, 0, 0, sum(unapplied), sum(company_unapplied),
           count(*)
    from receivables.receipt
    where tenant_id = %(tenant_id)s and connector_id = %(connector_id)s and cleared_on is null
    group by 1, 2, 3, 4)
select entity, account, currency, company_currency, sum(open)::text as open, sum(company_open)::text as company_open,
       sum(items)::bigint as items, sum(unapplied)::text as unapplied,
       sum(company_unapplied)::text as company_unapplied, sum(receipts)::bigint as receipts, bucket,
       grouping(bucket) as whole
from part
group by grouping sets ((entity, account, currency, company_currency), (entity, account, currency, company_currency, bucket))
order by entity, account, currency, company_currency, whole desc, bucket;

-- name: content
-- The content hash that the published rows of a kind give, whatever a publication says.
select bit_xor(digest) as content from {current}
where tenant_id = %(tenant_id)s and connector_id = %(connector_id)s;

-- name: last_publication
-- The publication that this one follows.
select number, counts, content_hash from receivables.publication
where tenant_id = %(tenant_id)s and connector_id = %(connector_id)s
order by number desc limit 1;

-- name: publication
-- From here on the run's rows are what everybody sees.
insert into receivables.publication
    (tenant_id, connector_id, number, previous, run_id, published_at, grade, counts, changes, totals, content_hash)
values (%(tenant_id)s, %(connector_id)s, %(number)s, %(previous)s, %(run_id)s, %(now)s, %(grade)s, %(counts)s,
        %(changes)s, %(totals)s, %(content_hash)s::bit(128));

-- name: analyze
-- Fresh statistics of the keys, without which the next merge would read the whole table once per row.
select receivables.analyze_keys();
