-- A batch, compare and swap: a row is written only where the version that was read still stands. The old value is no parameter,
-- and the new one is ciphertext: servers log parameters. $1: keys as text, $2: versions, from $3 on: new values, NULL to leave one
UPDATE {relation} AS t
SET {assignments}
FROM unnest($1::text[], $2::xid[], {arrays}) AS n (key, version, {names})
WHERE {key} = n.key::{key_type} AND t.xmin = n.version AND {condition}
RETURNING n.key
