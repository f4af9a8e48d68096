-- name: lock_chain
-- Waits for whoever is adding to the tenant's chain, and holds it until this transaction ends.
select pg_advisory_xact_lock('identity.audit_entry'::regclass::oid::integer, %(tenant_id)s);

-- name: head
-- The last entry of the tenant's chain.
select sequence, mac from identity.audit_entry where tenant_id = %(tenant_id)s order by sequence desc limit 1;

-- name: add_entry
-- One more entry at the end.
insert into identity.audit_entry (tenant_id, sequence, body, mac)
values (%(tenant_id)s, %(sequence)s, %(body)s, %(mac)s);

-- name: entries
-- The whole chain of the tenant, from its first entry.
select sequence, body, mac from identity.audit_entry where tenant_id = %(tenant_id)s order by sequence;

-- name: told
-- The entries of the tenant, of one event or of all, from the first on.
select sequence, body from identity.audit_entry
where tenant_id = %(tenant_id)s and (%(event)s::text is null or event = %(event)s)
order by sequence;

-- name: chain_key
-- The sealed key of the tenant's chain.
select key_version, wrapped_key, chain_key from identity.audit_chain where tenant_id = %(tenant_id)s;

-- name: begin_chain
-- The tenant's chain begins.
insert into identity.audit_chain (tenant_id, key_version, wrapped_key, chain_key, begun_at)
values (%(tenant_id)s, %(key_version)s, %(wrapped_key)s, %(chain_key)s, %(begun_at)s);
