-- name: patience
-- Whoever waits longer than this for another process is told to try later.
set lock_timeout = '10s';

-- name: lock
-- Waits until no other process asks for this credential's token; the lock dies with its connection.
-- Of two credentials with one hash, one waits for the other: that does no harm.
select pg_advisory_lock('identity.token'::regclass::oid::integer, hashtext(%(credential_id)s::text));
