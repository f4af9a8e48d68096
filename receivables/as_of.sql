-- name: visible
-- The rows of a kind as they were visible just before a moment: what is current since then, or was until then.
select {columns} from {current}
where tenant_id = %(tenant_id)s and connector_id = %(connector_id)s and known_from < {until}
union all
select {columns} from {history}
where tenant_id = %(tenant_id)s and connector_id = %(connector_id)s and known_from < {until}
  and known_to >= {until}

-- name: publication
-- The publication that was the latest just before a moment.
select max(number) as number, max(published_at) as published_at
from receivables.publication
where tenant_id = %(tenant_id)s and connector_id = %(connector_id)s and published_at < %(until)s;

-- name: first_publication
-- When something was published for the first time.
select min(published_at) from receivables.publication
where tenant_id = %(tenant_id)s and connector_id = %(connector_id)s;

-- name: zones
-- Legal entities whose days end in a zone of their own.
select code, zone from receivables.legal_entity
where tenant_id = %(tenant_id)s and connector_id = %(connector_id)s and zone is not null
order by code;
