-- name: rejects
-- Rejects of a connector, newest first.
select reject_id, %(connector)s as connector, stream, key, code, field, message, raw, first_seen, last_seen, times,
       state, adapter, waived_by, waived_at, waived_because
from receivables.reject
where tenant_id = %(tenant_id)s and connector_id = %(connector_id)s
  and (%(state)s::text is null or state = %(state)s) and (%(reject_id)s::bigint is null or reject_id = %(reject_id)s)
order by last_seen desc, reject_id desc;

-- name: waive
-- A person goes on without this row.
update receivables.reject
set state = 'waived', waived_by = %(by)s, waived_at = %(now)s, waived_because = %(reason)s
where reject_id = %(reject_id)s and state = 'open';

-- name: still
-- The reason of today, unless the row has a reject of that reason already.
update receivables.reject as known
set last_seen = %(now)s, times = known.times + 1,
    (key, code, field, message) = (
        select coalesce(%(key)s, known.key),
               case when twice then known.code else %(code)s end,
               case when twice then known.field else %(field)s end,
               case when twice then known.message else %(message)s end
        from (select exists (
            select from receivables.reject other
            where other.tenant_id = known.tenant_id and other.connector_id = known.connector_id
              and other.stream = known.stream and other.digest = known.digest and other.code = %(code)s
              and other.field = %(field)s and other.reject_id <> known.reject_id) as twice) as of)
where known.reject_id = %(reject_id)s;
