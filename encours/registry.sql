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
with added as (
    insert into encours.connector
        (tenant_id, key, system, settings, credential_id, schedule, deadline_minutes, tolerance, state,
         paused_reason, changed_by, blackout)
    values (%(tenant_id)s, %(key)s, %(system)s, %(settings)s, %(credential_id)s, %(schedule)s,
            %(deadline_minutes)s, %(tolerance)s, %(state)s, %(paused_reason)s, %(changed_by)s,
            %(blackout)s)
    returning tenant_id, connector_id, changed_by)
insert into encours.connector_change (tenant_id, connector_id, changed_by, fields)
select tenant_id, connector_id, changed_by, '{added}' from added;

-- name: change_connector
-- New settings of a connector, if nobody changed it since it was read, and who changed what.
with before as (
    select * from encours.connector where connector_id = %(connector_id)s),
changed as (
    update encours.connector
    set settings = %(settings)s, credential_id = %(credential_id)s, schedule = %(schedule)s,
        blackout = %(blackout)s, deadline_minutes = %(deadline_minutes)s, tolerance = %(tolerance)s,
        state = %(state)s, paused_reason = %(paused_reason)s, changed_by = %(changed_by)s, changed_at = now(),
        activated_at = case when state = 'paused' and %(state)s = 'active' then now() else activated_at end
    where connector_id = %(connector_id)s and changed_at = %(changed_at)s
    returning *)
insert into encours.connector_change (tenant_id, connector_id, changed_by, fields)
select c.tenant_id, c.connector_id, c.changed_by, array_remove(array[
           case when c.settings <> b.settings then 'settings' end,
           case when c.credential_id is distinct from b.credential_id then 'credential' end,
           case when c.tolerance <> b.tolerance then 'tolerance' end,
           case when c.schedule <> b.schedule or c.deadline_minutes <> b.deadline_minutes
                  or c.blackout is distinct from b.blackout then 'schedule' end,
           case when c.state <> b.state then 'state' end], null)
from changed c join before b using (connector_id);

-- name: changers
-- Who added the connector, or changed what it reads or what counts as equal, since this moment.
select distinct changed_by from encours.connector_change
where connector_id = %(connector_id)s and changed_at > %(since)s
  and fields && '{added,settings,credential,tolerance}';

-- name: remove_connector
-- The connector leaves the registry; what it published stays.
delete from encours.connector where connector_id = %(connector_id)s;
