-- Identity: logins at Sage Intacct have two pairs, the sender's and the user's, and belong to a company.

alter table identity.credential
    add company text,
    add sender text,
    add sender_key_version text references identity.key_version (version),
    add sender_wrapped_key bytea,
    add sender_secret bytea,
    drop constraint credential_check,
    add constraint kind_is_whole check (
        (kind = 'basic' and subject is not null and num_nonnulls(header, company, sender, sender_secret) = 0)
        or (kind = 'api_key' and header is not null and num_nonnulls(subject, company, sender, sender_secret) = 0)
        or (kind = 'intacct' and header is null and num_nulls(subject, company, sender, sender_secret) = 0)
    ),
    add constraint sender_is_sealed check (
        num_nonnulls(sender_key_version, sender_wrapped_key, sender_secret) in (0, 3)
    );

grant select (company, sender) on identity.credential to encours_auditor;
