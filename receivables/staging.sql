-- name: copy_pages
-- Received pages: slice, counts, and the bookmark that becomes true when the slice is published.
copy receivables.page
    (run_id, slice, number, ordinal, stream, last, received, staged, rejects, bookmark, reached) from stdin;

-- name: copy
-- Rows of one kind into the run's staging.
copy {table} (run_id, seq, digest, {columns}) from stdin;

-- name: copy_raw_digests
-- Which raw rows, by native key, became what was staged.
copy receivables.staged_raw_digest (run_id, seq, stream, key, digest) from stdin;

-- name: copy_rejects
-- Rows that were set aside.
copy receivables.staged_reject (run_id, seq, stream, digest, key, key_digest, code, field, message, raw, adapter) from stdin;

-- name: copy_totals
-- The ERP's control totals, read before the first row or after the last.
copy receivables.staged_control_total
    (run_id, at, entity, account, basis, currency, as_of, grade, closing, customer, items) from stdin;

-- name: totals_at
-- The control totals that were read at this end of the run.
select entity, account, basis, currency, as_of::text, grade, closing::text, customer, items
from receivables.staged_control_total where run_id = %(run_id)s and at = %(at)s;

-- name: forget_totals
-- Totals that are read again replace those of before.
delete from receivables.staged_control_total where run_id = %(run_id)s and at = %(at)s;

-- name: progress
-- What the page log knows of the run: the next page's ordinal, the slices that ended, those that did not.
select coalesce(max(ordinal) + 1, 0) as next_ordinal,
       coalesce(array_agg(slice) filter (where last), '{}') as done,
       coalesce(array_agg(ordinal) filter (where not exists (
           select from receivables.page ended
           where ended.run_id = page.run_id and ended.slice = page.slice and ended.last)), '{}') as unfinished
from receivables.page where run_id = %(run_id)s;

-- name: forget_pages
-- Pages of slices that did not end: they are read again as a whole.
delete from receivables.page where run_id = %(run_id)s and ordinal = any(%(ordinals)s);

-- name: forget_rows
-- Rows of the pages that are read again.
delete from {table} where run_id = %(run_id)s and (seq >> 20) = any(%(ordinals)s);

-- name: forget_run
-- All rows of a run that is over, or was lost.
delete from {table} where run_id = %(run_id)s;

-- name: analyze
-- Statistics of what is staged: those of a run before are worse than none.
select receivables.analyze_staging()
where exists (select from receivables.page where run_id = %(run_id)s and staged > 0);

-- name: keep_last
-- Of a key that was staged more than once in this run, the row that was read last stays.
delete from {table} as s
using (select {key}, max(seq) as last_seq from {table} where run_id = %(run_id)s
       group by {key} having count(*) > 1) as twice
where s.run_id = %(run_id)s and {same_key} and s.seq < twice.last_seq;

-- name: forget_mended
-- Of what was set aside, a row that was set aside again stays once, and one that was read well later goes.
delete from receivables.staged_reject as r
where r.run_id = %(run_id)s
  and (exists (select from receivables.staged_reject again
               where again.run_id = r.run_id and again.stream = r.stream and again.digest = r.digest
                 and again.code = r.code and again.field = r.field and again.seq > r.seq)
       or exists (select from receivables.staged_raw_digest well
                  where well.run_id = r.run_id and well.stream = r.stream and well.key = r.key_digest
                    and well.seq > r.seq and well.digest <> '00000000-0000-0000-0000-000000000000'));

-- name: reached
-- How far the slices that ended reach, by bookmark.
select bookmark, max(reached) from receivables.page
where run_id = %(run_id)s and last and bookmark is not null and reached is not null
group by bookmark;

-- name: news
-- Whether rows of a kind staged from this place on say what was neither staged before nor, failing that, published.
select exists (
    select from {staged} n
    left join {staged} b on b.run_id = n.run_id and {same_staged} and b.seq < %(first)s
    left join {current} c on c.tenant_id = %(tenant_id)s and c.connector_id = %(connector_id)s and {same_current}
    where n.run_id = %(run_id)s and n.seq >= %(first)s
      and n.digest is distinct from coalesce(b.digest, c.digest));

-- name: unknown_customers
-- Customers that staged items and receipts name and of whom nothing but the number is published or staged.
select distinct named.entity, named.customer
from (select entity, customer from receivables.staged_open_item where run_id = %(run_id)s and customer <> ''
      union all
      select entity, customer from receivables.staged_receipt where run_id = %(run_id)s and customer <> '') as named
where not exists (
    select from receivables.staged_customer s
    where s.run_id = %(run_id)s and s.entity = named.entity and s.number = named.customer)
  and not exists (
    select from receivables.customer c
    where c.tenant_id = %(tenant_id)s and c.connector_id = %(connector_id)s
      and c.entity = named.entity and c.number = named.customer and not c.incomplete)
order by 1, 2;

-- name: known_digests
-- The digests of the raw rows of this stream as published, 16 bytes each, in up to 256 pieces.
select string_agg(uuid_send(digest), ''::bytea) from receivables.raw_digest
where tenant_id = %(tenant_id)s and connector_id = %(connector_id)s and stream = %(stream)s
group by get_byte(uuid_send(digest), 0);

-- name: known_digests_again
-- The same for a run that staged some of this stream before: of those rows, the digests of what it staged.
select string_agg(uuid_send(digest), ''::bytea) from (
    select p.digest from receivables.raw_digest p
    where p.tenant_id = %(tenant_id)s and p.connector_id = %(connector_id)s and p.stream = %(stream)s
      and not exists (select from receivables.staged_raw_digest s
                      where s.run_id = %(run_id)s and s.stream = p.stream and s.key = p.key)
    union all
    select digest from receivables.staged_raw_digest where run_id = %(run_id)s and stream = %(stream)s) as known
group by get_byte(uuid_send(digest), 0);
