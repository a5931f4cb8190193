-- means: a secret may have been copied from another row, or inserted by hand: rotations leave it as it is, under its key
-- fix: check each secret with the customer; then bind it with callctl rotate-secrets --bind-new ID, or store it again through the application

-- The fields are those that callctl.bound_field records: a rotation with --bind has bound every value in them (version 2).
-- callctl puts their contents (live, archived and saved) in place of the one row here, which holds no secret: table, row,
-- field, whether it is a whole text column, value. Only a holder of the keys can tell whether a bound value opens at its place:
-- callctl rotate-secrets --dry-run.
-- check: secrets-bound: no field that rotate-secrets --bind has bound holds an unbound value
SELECT secret.relation, secret.row_id, secret.field,
       concat('unbound: ', CASE WHEN jsonb_typeof(e.object) = 'object' AND e.object ? 'encrypted'
                                THEN COALESCE('version ' || (e.object ->> 'v'), 'an envelope without a version')
                                ELSE 'no envelope' END) AS reason
FROM (SELECT NULL::text AS relation, NULL::text AS row_id, NULL::text AS field, false AS whole, NULL::jsonb AS value) AS secret
CROSS JOIN LATERAL (
  SELECT CASE WHEN jsonb_typeof(secret.value) <> 'string' THEN secret.value
              WHEN secret.value #>> '{}' ~ ('^\s*\{\s*"[a-zA-Z]+"\s*:\s*("[^"\\[:cntrl:]]*"|0|[1-9][0-9]{0,8})'
                                         || '(\s*,\s*"[a-zA-Z]+"\s*:\s*("[^"\\[:cntrl:]]*"|0|[1-9][0-9]{0,8}))*\s*\}\s*$')
              THEN (secret.value #>> '{}')::jsonb END AS object
) AS e
WHERE secret.value <> 'null' AND secret.value <> '""' AND NOT COALESCE(jsonb_typeof(e.object) = 'object' AND e.object -> 'v' = '2', false);
