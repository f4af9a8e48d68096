-- name: create
-- A new credential with its sealed secrets.
insert into identity.credential
    (credential_id, tenant_id, kind, label, owner, purpose, subject, header, company, sender, facts,
     key_version, wrapped_key, secret, sender_key_version, sender_wrapped_key, sender_secret, created_at, created_by)
values (%(credential_id)s, %(tenant_id)s, %(kind)s, %(label)s, %(owner)s, %(purpose)s, %(subject)s, %(header)s,
        %(company)s, %(sender)s, %(facts)s, %(key_version)s, %(wrapped_key)s, %(secret)s, %(sender_key_version)s,
        %(sender_wrapped_key)s, %(sender_secret)s, %(at)s, %(by)s);

-- name: replace
-- Other sealed secrets in the same credential.
update identity.credential
set kind = %(kind)s, subject = %(subject)s, header = %(header)s, company = %(company)s, sender = %(sender)s,
    facts = %(facts)s, key_version = %(key_version)s, wrapped_key = %(wrapped_key)s, secret = %(secret)s,
    sender_key_version = %(sender_key_version)s, sender_wrapped_key = %(sender_wrapped_key)s,
    sender_secret = %(sender_secret)s, replaced_at = %(at)s, replaced_by = %(by)s
where tenant_id = %(tenant_id)s and credential_id = %(credential_id)s;

-- name: assign
-- Who answers for the credential and what it is for, where that is said.
update identity.credential
set owner = coalesce(%(owner)s, owner), purpose = coalesce(%(purpose)s, purpose)
where tenant_id = %(tenant_id)s and credential_id = %(credential_id)s;

-- name: end_token
-- The token that was got with this credential is forgotten.
delete from identity.token where tenant_id = %(tenant_id)s and credential_id = %(credential_id)s;

-- name: remove
-- The credential, its sealed secret and its token go; the audit stays.
delete from identity.credential where tenant_id = %(tenant_id)s and credential_id = %(credential_id)s;

-- name: describe
-- What may be shown of one credential.
select credential_id, tenant_id, kind, label, owner, purpose, subject, header, company, sender, facts,
       created_at, created_by, replaced_at, replaced_by
from identity.credential
where tenant_id = %(tenant_id)s and credential_id = %(credential_id)s;

-- name: descriptions
-- What may be shown of every credential of a tenant.
select credential_id, tenant_id, kind, label, owner, purpose, subject, header, company, sender, facts,
       created_at, created_by, replaced_at, replaced_by
from identity.credential
where tenant_id = %(tenant_id)s
order by label, created_at, credential_id;

-- name: sealed
-- What the authority needs to open and to sign with one credential.
select kind, subject, header, company, sender, facts, key_version, wrapped_key, secret,
       sender_key_version, sender_wrapped_key, sender_secret
from identity.credential
where tenant_id = %(tenant_id)s and credential_id = %(credential_id)s;
