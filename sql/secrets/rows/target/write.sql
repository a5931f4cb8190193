-- A batch, compare and swap: a row is written only where the version that was read is still there. The old value is no parameter,
-- and the new one is ciphertext: servers log parameters. $1: keys as text, $2: versions, from $3 on: new values, NULL to leave one.
-- Of each row that is written: the version it had, whether every column that may hold a secret is stored as it was meant (the new
-- value, or the old one where none is written; triggers and rules may have had their own way), its key, and those columns.
UPDATE {relation} AS t
SET {assignments}
FROM unnest($1::text[], $2::text[], {arrays}) AS n (key, version, {names})
CROSS JOIN LATERAL (SELECT {columns_named} FROM {relation} AS t WHERE {key} = n.key::{key_type} AND {version} = n.version) AS o
WHERE {key} = n.key::{key_type} AND {version} = n.version AND {condition}
RETURNING n.version, ({stored})::text, {key}::text, {columns}
