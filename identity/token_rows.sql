-- name: read
-- The token as it stands.
select token_id, version, state, issued_at, expires_at, uncertain_since, attempts, asked_with,
       access_key_version, access_wrapped_key, access_token,
       refresh_key_version, refresh_wrapped_key, refresh_token
from identity.token
where tenant_id = %(tenant_id)s and credential_id = %(credential_id)s;

-- name: read_and_hold
-- The token as it stands, which nobody changes before this transaction ends.
select token_id, version, state, issued_at, expires_at, uncertain_since, attempts, asked_with,
       access_key_version, access_wrapped_key, access_token,
       refresh_key_version, refresh_wrapped_key, refresh_token
from identity.token
where tenant_id = %(tenant_id)s and credential_id = %(credential_id)s
for update;

-- name: begin
-- The place of a token that was never asked for.
insert into identity.token (tenant_id, credential_id, token_id, version, state)
values (%(tenant_id)s, %(credential_id)s, %(token_id)s, 1, 'ok')
on conflict (credential_id) do nothing;

-- name: intend
-- The provider is about to be asked: from now on what it knows of the refresh token is not certain.
update identity.token
set state = 'uncertain', asked_with = %(asked_with)s, uncertain_since = coalesce(uncertain_since, %(at)s),
    attempts = attempts + 1, version = version + 1
where tenant_id = %(tenant_id)s and credential_id = %(credential_id)s
  and token_id = %(token_id)s and version = %(version)s;

-- name: settle
-- The provider was asked and gave no token; the tokens stay as they are.
update identity.token
set state = %(state)s, asked_with = %(asked_with)s, uncertain_since = %(uncertain_since)s,
    attempts = %(attempts)s, version = version + 1
where tenant_id = %(tenant_id)s and credential_id = %(credential_id)s
  and token_id = %(token_id)s and version = %(version)s;

-- name: store
-- The token that the provider gave, if nobody has put another in its place; an access token that is not to be
-- used is left out.
update identity.token
set token_id = %(new_id)s, version = version + 1, state = 'ok', asked_with = null, uncertain_since = null,
    attempts = 0, issued_at = %(issued_at)s, expires_at = %(expires_at)s, scope = %(scope)s,
    access_key_version = %(access_key_version)s, access_wrapped_key = %(access_wrapped_key)s,
    access_token = %(access_token)s, refresh_key_version = %(refresh_key_version)s,
    refresh_wrapped_key = %(refresh_wrapped_key)s, refresh_token = %(refresh_token)s
where tenant_id = %(tenant_id)s and credential_id = %(credential_id)s
  and token_id = %(token_id)s and version = %(version)s;

-- name: renewable
-- The tenant's tokens that have a refresh token to lose, and when that was last used.
select credential_id, token_id, issued_at from identity.token
where tenant_id = %(tenant_id)s and state <> 'needs_consent' and refresh_token is not null
order by credential_id;

-- name: forget
-- The tokens are over, if nobody has put others in their place.
delete from identity.token
where tenant_id = %(tenant_id)s and credential_id = %(credential_id)s
  and token_id = %(token_id)s and version = %(version)s;
