-- name: tenants
-- Every tenant of the installation.
select tenant_id, key, name, zone from encours.tenant order by key;

-- name: add_tenant
-- A new client company; the same key with the same name and zone is not an error.
insert into encours.tenant (key, name, zone) values (%(key)s, %(name)s, %(zone)s)
on conflict (key) do nothing;

-- name: connectors
-- Every connector of every tenant, with the tenant's key and zone.
select c.connector_id, c.tenant_id, t.key as tenant, t.name as tenant_name, t.zone, c.key, c.system, c.settings,
       c.credential_id, c.schedule, c.deadline_minutes, c.tolerance, c.state, c.paused_reason,
       c.changed_by, c.changed_at, c.activated_at, c.blackout
from encours.connectors() c
join encours.tenant t using (tenant_id)
order by c.key;

-- name: add_connector
-- A new connector; its first run is due from now on.
insert into encours.connector
    (tenant_id, key, system, settings, credential_id, schedule, deadline_minutes, tolerance, state,
     paused_reason, changed_by, blackout)
values (%(tenant_id)s, %(key)s, %(system)s, %(settings)s, %(credential_id)s, %(schedule)s, %(deadline_minutes)s,
        %(tolerance)s, %(state)s, %(paused_reason)s, %(changed_by)s, %(blackout)s);

-- name: change_connector
-- New settings of a connector, if nobody changed it since it was read.
update encours.connector
set settings = %(settings)s, credential_id = %(credential_id)s, schedule = %(schedule)s,
    blackout = %(blackout)s, deadline_minutes = %(deadline_minutes)s, tolerance = %(tolerance)s, state = %(state)s,
    paused_reason = %(paused_reason)s, changed_by = %(changed_by)s, changed_at = now(),
    activated_at = case when state = 'paused' and %(state)s = 'active' then now() else activated_at end
where connector_id = %(connector_id)s and changed_at = %(changed_at)s;

-- name: remove_connector
-- The connector leaves the registry; what it published stays.
delete from encours.connector where connector_id = %(connector_id)s;
