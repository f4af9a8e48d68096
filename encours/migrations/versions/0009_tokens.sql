-- Identity: OAuth clients, and the tokens that they get.

-- `facts` are what may be shown of an OAuth client. The second sealed secret (sender_*) of one is the private
-- key that signs its assertions.
alter table identity.credential
    add facts jsonb,
    drop constraint kind_is_whole,
    add constraint kind_is_whole check (
        (kind = 'basic' and subject is not null
            and num_nonnulls(header, company, sender, sender_secret, facts) = 0)
        or (kind = 'api_key' and header is not null
            and num_nonnulls(subject, company, sender, sender_secret, facts) = 0)
        or (kind = 'intacct' and num_nonnulls(header, facts) = 0
            and num_nulls(subject, company, sender, sender_secret) = 0)
        or (kind = 'oauth' and num_nonnulls(header, company, sender) = 0 and num_nulls(subject, facts) = 0)
    );

grant select (facts) on identity.credential to encours_auditor;

-- One token per credential: it goes with it. `token_id` is another after every renewal, `version` after every
-- change: whoever changes a row says which one it has seen (the fence). `uncertain` says that the provider was
-- asked and that its answer is not known: `asked_with` is the SHA-256 (hex) of the refresh token that it was
-- asked with, which may be spent by now; null where none was sent.
create table identity.token (
    credential_id uuid primary key references identity.credential (credential_id) on delete cascade,
    tenant_id integer not null,
    token_id uuid not null,
    version bigint not null check (version > 0),
    state text not null check (state in ('ok', 'uncertain', 'needs_consent')),
    access_key_version text references identity.key_version (version),
    access_wrapped_key bytea,
    access_token bytea,
    refresh_key_version text references identity.key_version (version),
    refresh_wrapped_key bytea,
    refresh_token bytea,
    issued_at timestamptz,
    expires_at timestamptz,
    scope text,
    asked_with text check (asked_with ~ '^[0-9a-f]{64}$'),
    uncertain_since timestamptz,
    attempts integer not null default 0 check (attempts >= 0),
    constraint access_is_whole check (
        num_nonnulls(access_key_version, access_wrapped_key, access_token, issued_at, expires_at) in (0, 5)
    ),
    constraint refresh_is_sealed check (
        num_nonnulls(refresh_key_version, refresh_wrapped_key, refresh_token) in (0, 3)
    ),
    constraint uncertain_is_dated check ((state = 'uncertain') = (uncertain_since is not null))
);

alter table identity.token enable row level security;
alter table identity.token force row level security;

create policy own_tenant on identity.token
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::integer)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::integer);

grant select, insert, update, delete on identity.token to encours_identity;
grant select (
    credential_id, tenant_id, token_id, version, state, issued_at, expires_at, scope, uncertain_since, attempts
) on identity.token to encours_auditor;

-- Before a provider is asked, and when no answer came that could be read.
alter table identity.audit_entry
    drop constraint event_is_known,
    add constraint event_is_known check (event in (
        'connected', 'replaced', 'assigned', 'removed', 'used', 'asked', 'issued', 'refreshed', 'unanswered',
        'refused', 'revoked', 'exported', 'rotated', 'viewed'
    ));
