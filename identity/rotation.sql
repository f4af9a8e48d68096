-- name: versions
-- How many values each key version has sealed.
select {version}, count(*) from {table} where tenant_id = %(tenant_id)s and {version} is not null group by 1;

-- name: sealed_before
-- Some rows that another key version sealed; whoever changes one of them meanwhile is waited for.
select {row}, {version}, {wrapped}, {sealed} from {table}
where tenant_id = %(tenant_id)s and {version} <> %(version)s
order by 1 limit %(limit)s for update;

-- name: seal_again
-- The same secret in the same place, under another key.
update {table} set {version} = %(key_version)s, {wrapped} = %(wrapped_key)s, {sealed} = %(text)s
where tenant_id = %(tenant_id)s and {row} = %(row)s;
