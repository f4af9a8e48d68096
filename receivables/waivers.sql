-- name: waivers
-- Every rule of a connector, newest first.
select w.waiver_id, %(connector)s as connector, r.number as run, w.entity, w.account, w.basis, w.currency, w.largest,
       w.reason, w.owner, w.made_at, w.until, w.ended_at, w.ended_by
from receivables.waiver w join receivables.run r using (run_id)
where w.tenant_id = %(tenant_id)s and w.connector_id = %(connector_id)s
order by w.waiver_id desc;

-- name: in_force
-- The rules of a connector that apply now.
select w.waiver_id, %(connector)s as connector, r.number as run, w.entity, w.account, w.basis, w.currency, w.largest,
       w.reason, w.owner, w.made_at, w.until, w.ended_at, w.ended_by
from receivables.waiver w join receivables.run r using (run_id)
where w.tenant_id = %(tenant_id)s and w.connector_id = %(connector_id)s
  and w.ended_at is null and w.until > %(now)s;

-- name: add
-- A rule, of the difference of this run.
insert into receivables.waiver
    (tenant_id, connector_id, run_id, entity, account, basis, currency, largest, reason, owner, made_at, until)
select %(tenant_id)s, %(connector_id)s, r.run_id, %(entity)s, %(account)s, %(basis)s, %(currency)s, %(largest)s,
       %(reason)s, %(owner)s, %(now)s, %(until)s
from receivables.run r
where r.tenant_id = %(tenant_id)s and r.connector_id = %(connector_id)s and r.number = %(run)s;

-- name: end_others
-- A new rule takes the place of the one before.
update receivables.waiver
set ended_at = %(now)s, ended_by = %(owner)s
where tenant_id = %(tenant_id)s and connector_id = %(connector_id)s and entity = %(entity)s
  and account = %(account)s and basis = %(basis)s and currency = %(currency)s and ended_at is null;

-- name: end
-- A rule applies no longer.
update receivables.waiver set ended_at = %(now)s, ended_by = %(by)s
where waiver_id = %(waiver_id)s and ended_at is null and until > %(now)s;
