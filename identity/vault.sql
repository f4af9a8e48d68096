-- name: key_versions
-- The key versions that this installation has ever sealed with.
select version from identity.key_version;

-- name: note_key_version
-- This key version is in use from now on.
insert into identity.key_version (version) values (%(version)s) on conflict (version) do nothing;
