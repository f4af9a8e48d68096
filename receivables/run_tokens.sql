-- name: keep
-- What signed requests of the run, and how many.
insert into receivables.run_token (tenant_id, connector_id, run_id, credential_id, token_id, uses, told_at)
values (%(tenant_id)s, %(connector_id)s, %(run_id)s, %(credential_id)s, %(token_id)s, %(uses)s, %(now)s);

-- name: signed
-- What signed which runs, the latest run first: of one run, of one token, or of what brought one document.
select t.connector_id, r.number, r.opened_at, r.ended_at, t.credential_id, t.token_id, sum(t.uses)::bigint as uses
from receivables.run_token t join receivables.run r using (run_id)
where t.tenant_id = %(tenant_id)s
  and (%(connector_id)s::integer is null or t.connector_id = %(connector_id)s)
  and (%(number)s::integer is null or r.number = %(number)s)
  and (%(token_id)s::uuid is null or t.token_id = %(token_id)s)
  and (%(document)s::text is null or exists (
        select from receivables.document d
        where d.tenant_id = %(tenant_id)s and d.run_id = t.run_id and %(document)s in (d.printed, d.number)
        union all
        select from receivables.document_history d
        where d.tenant_id = %(tenant_id)s and d.run_id = t.run_id and %(document)s in (d.printed, d.number)))
group by t.connector_id, r.number, r.opened_at, r.ended_at, t.credential_id, t.token_id
order by r.opened_at desc, r.number desc, min(t.told_at), t.token_id;

-- name: last_runs
-- The last run whose requests each credential signed.
select distinct on (t.credential_id) t.credential_id, t.connector_id, r.number, t.told_at
from receivables.run_token t join receivables.run r using (run_id)
where t.tenant_id = %(tenant_id)s
order by t.credential_id, t.told_at desc, r.number desc;
