-- name: holdings
-- What may be shown of the credentials of a tenant, of one or of all, and of the token that each holds.
select c.credential_id, c.kind, c.label, c.owner, c.purpose, coalesce(c.subject, c.header) as subject,
       c.company, c.sender, coalesce(c.facts, '{}'::jsonb) as facts, c.created_at, c.created_by, c.replaced_at, c.replaced_by,
       t.token_id, t.state, t.scope, t.issued_at, t.expires_at, t.uncertain_since,
       t.refresh_token is not null as renewable
from identity.credential c left join identity.token t on t.tenant_id = c.tenant_id and t.credential_id = c.credential_id
where c.tenant_id = %(tenant_id)s and (%(credential_id)s::uuid is null or c.credential_id = %(credential_id)s)
order by c.label, c.created_at, c.credential_id;

-- name: ended
-- The tenant's credentials whose provider no longer honours the grant, and who that is.
select c.credential_id, c.facts ->> 'provider'
from identity.credential c join identity.token t on t.tenant_id = c.tenant_id and t.credential_id = c.credential_id
where c.tenant_id = %(tenant_id)s and t.state = 'needs_consent';
