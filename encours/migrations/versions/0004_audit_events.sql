-- Identity: the audit tells more than changes and uses, and of some events (a rotation of keys, an export) no
-- single credential is the subject.

alter table identity.audit_entry
    drop constraint audit_entry_event_check,
    alter column credential_id drop not null,
    add constraint event_is_known check (event in (
        'connected', 'replaced', 'removed', 'used', 'issued', 'refreshed', 'refused', 'revoked', 'exported',
        'rotated', 'viewed'
    ));

-- A rotation seals each row again under the new key, and may touch nothing else of it.
grant update (key_version, wrapped_key, chain_key) on identity.audit_chain to encours_identity;
