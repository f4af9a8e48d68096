-- name: last_run
-- The connector's run that is being read or held, if there is one, and whether its staging is still there.
select r.run_id, r.number, r.state, r.mode, r.adapter, r.settings_digest, r.opened_at,
       exists (select from receivables.staged_run s where s.run_id = r.run_id) as staged
from receivables.run r
where r.tenant_id = %(tenant_id)s and r.connector_id = %(connector_id)s and r.state in ('reading', 'held');

-- name: last_published
-- What the last publication was made of, and the day of the last run that read everything.
select r.adapter, r.settings_digest,
       (select max(whole.day) from receivables.run whole
        where whole.tenant_id = %(tenant_id)s and whole.connector_id = %(connector_id)s
          and whole.state = 'published' and whole.mode in ('snapshot', 'sweep')) as whole_day
from receivables.run r
where r.tenant_id = %(tenant_id)s and r.connector_id = %(connector_id)s and r.state = 'published'
order by r.number desc limit 1;

-- name: open
-- A new run.
insert into receivables.run
    (tenant_id, connector_id, number, state, mode, day, adapter, settings_digest, opened_at)
select %(tenant_id)s, %(connector_id)s, coalesce(max(number), 0) + 1, 'reading', %(mode)s, %(day)s, %(adapter)s,
       %(settings_digest)s, %(now)s
from receivables.run where tenant_id = %(tenant_id)s and connector_id = %(connector_id)s
returning run_id, number, opened_at;

-- name: mark_staging
-- The mark that vanishes together with everything staged.
insert into receivables.staged_run (run_id, connector_id) values (%(run_id)s, %(connector_id)s);

-- name: stale_staging
-- Runs of this connector that left rows behind and are over.
select run_id from receivables.staged_run where connector_id = %(connector_id)s and run_id <> %(run_id)s;

-- name: bookmarks
-- How far the published rows reach.
select name, value from receivables.bookmark
where tenant_id = %(tenant_id)s and connector_id = %(connector_id)s;

-- name: tune
-- Sorts and hashes of a merge in memory; no second process and no compiler, which cost more than they give here.
-- Statistics from 3,000 rows instead of 30,000: how often keys repeat shows in them as well. Pages of an index are
-- in memory: the planner's usual price for one has it read the whole table for 3,000 changed rows.
select set_config('work_mem', '64MB', false), set_config('jit', 'off', false),
       set_config('max_parallel_workers_per_gather', '0', false),
       set_config('default_statistics_target', '10', false), set_config('random_page_cost', '1.1', false);

-- name: lock_connector
-- One run per connector: held by the run's own connection until it closes.
select pg_try_advisory_lock(hashtext('receivables.connector'), %(connector_id)s);

-- name: unlock
-- All that this connection locked: the connector and the ERP's place.
select pg_advisory_unlock_all();

-- name: lock_place
-- One of the places at an ERP, shared by all workers.
select pg_try_advisory_lock(hashtext('receivables.erp ' || %(erp)s), %(place)s);

-- name: running_since
-- When the run that holds the lock was opened.
select opened_at from receivables.run
where tenant_id = %(tenant_id)s and connector_id = %(connector_id)s and state = 'reading';

-- name: end
-- The run is over, or held; its counts come from the page log.
update receivables.run as r
set state = %(state)s, ended_at = %(now)s, reason = %(reason)s, message = %(message)s,
    explanation = %(explanation)s, notes = %(notes)s, suspects = greatest(r.suspects, %(suspects)s),
    decided_by = %(decided_by)s, look_first = %(look_first)s,
    pages = p.pages, rows_read = p.received, rows_staged = p.staged, rejects = p.rejects
from (select count(*) as pages, coalesce(sum(received), 0) as received, coalesce(sum(staged), 0) as staged,
             coalesce(sum(rejects), 0) as rejects
      from receivables.page where run_id = %(run_id)s) as p
where r.tenant_id = %(tenant_id)s and r.run_id = %(run_id)s and r.state = %(was)s;

-- name: held
-- The connector's held run, if there is one, and whether its staging is still there.
select r.run_id, r.number, r.mode, r.day, r.adapter, r.settings_digest, r.opened_at, r.reason, r.look_first,
       exists (select from receivables.staged_run s where s.run_id = r.run_id) as staged
from receivables.run r
where r.tenant_id = %(tenant_id)s and r.connector_id = %(connector_id)s and r.state = 'held';

-- name: discard
-- A held run is given up by a person; why it was held stays.
update receivables.run
set state = 'superseded', message = %(message)s, decided_by = %(decided_by)s
where tenant_id = %(tenant_id)s and run_id = %(run_id)s and state = 'held';

-- name: supersede
-- A held run, or one whose staging is of no use any more, makes room.
update receivables.run
set state = 'superseded', ended_at = coalesce(ended_at, %(now)s),
    message = case when %(lost)s then %(message)s else coalesce(message, %(message)s) end
where tenant_id = %(tenant_id)s and run_id = %(run_id)s;

-- name: keep_rejects
-- What this run set aside, for people to see; a row seen before counts once more, and stays waived if it was.
insert into receivables.reject as known
    (tenant_id, connector_id, run_id, stream, digest, key, key_digest, code, field, message, raw, adapter,
     first_seen, last_seen)
select distinct on (stream, digest, code, field)
       %(tenant_id)s, %(connector_id)s, %(run_id)s, stream, digest, key, key_digest, code, field, message, raw,
       adapter, %(now)s, %(now)s
from receivables.staged_reject
where run_id = %(run_id)s
order by stream, digest, code, field, seq desc
on conflict (tenant_id, connector_id, stream, digest, code, field) do update
set run_id = excluded.run_id, last_seen = excluded.last_seen, message = excluded.message, adapter = excluded.adapter,
    times = known.times + (known.run_id <> excluded.run_id)::integer,
    state = case known.state when 'waived' then 'waived' else 'open' end;

-- name: close_rejects
-- Rows set aside before that were read well now: of a stream that holds, all but those waived; of others, and of
-- those waived, what was read well by its key (zeros are the digest of a row set aside) or is replayed.
update receivables.reject as known
set state = 'replayed'
where known.tenant_id = %(tenant_id)s and known.connector_id = %(connector_id)s and known.state <> 'replayed'
  and known.run_id <> %(run_id)s
  and (known.stream <> all(%(harmless)s) and known.state = 'open'
       or known.reject_id = any(%(replayed)s)
       or exists (select from receivables.staged_raw_digest s
                  where s.run_id = %(run_id)s and s.stream = known.stream and s.key = known.key_digest
                    and s.digest <> '00000000-0000-0000-0000-000000000000'));

-- name: holding_rejects
-- Rows set aside that keep this run from being published, the first of them: of those waived none.
select s.stream, s.key, s.code, s.field, s.message from receivables.staged_reject s
where s.run_id = %(run_id)s and s.stream <> all(%(harmless)s)
  and not exists (
    select from receivables.reject known
    where known.tenant_id = %(tenant_id)s and known.connector_id = %(connector_id)s and known.stream = s.stream
      and known.digest = s.digest and known.code = s.code and known.field = s.field and known.state = 'waived')
order by s.seq limit 20;

-- name: waived_rejects
-- The rows that people go on without, each with its fault.
select stream, uuid_send(digest), code, field from receivables.reject
where tenant_id = %(tenant_id)s and connector_id = %(connector_id)s and state = 'waived';

-- name: unfinished
-- Slices of which pages are staged, but not the last.
select slice from receivables.page where run_id = %(run_id)s group by slice having not bool_or(last) order by slice;

-- name: keep_total
-- One control total of this run, from the ERP or ours; a run that was held keeps those it was held with.
insert into receivables.control_total
    (tenant_id, connector_id, run_id, entity, account, basis, currency, customer, source, as_of, grade, closing, items)
values (%(tenant_id)s, %(connector_id)s, %(run_id)s, %(entity)s, %(account)s, %(basis)s, %(currency)s, %(customer)s,
        %(source)s, %(as_of)s, %(grade)s, %(closing)s, %(items)s)
on conflict do nothing;

-- name: keep_tie_out
-- One line of the comparison; when a run that was held is published, only the judgement can be another.
insert into receivables.tie_out
    (tenant_id, connector_id, run_id, entity, account, basis, currency, customer, as_of, grade, difference, status,
     explanation)
values (%(tenant_id)s, %(connector_id)s, %(run_id)s, %(entity)s, %(account)s, %(basis)s, %(currency)s, %(customer)s,
        %(as_of)s, %(grade)s, %(difference)s, %(status)s, %(explanation)s)
on conflict (run_id, account, entity, basis, currency, customer) do update
set status = excluded.status, explanation = excluded.explanation;
