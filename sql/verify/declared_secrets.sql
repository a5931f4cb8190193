-- means: any reader of the table or of a backup can read a secret; or the application cannot decrypt it any more
-- fix: run callctl rotate-secrets to encrypt plaintext; add a missing key to callctl.yaml again

-- The fields are those of `secrets:` in callctl.yaml. They may be in any table, so callctl puts their contents in place of
-- the one row here, which holds no secret: table, row, field, whether it is a whole text column, value.
-- accounts_secrets.sql defines an encrypted secret, accounts_keys.sql a key of callctl.yaml.
-- check: declared-secrets-encrypted: every secret in a field that callctl.yaml declares is encrypted
SELECT secret.relation, secret.row_id, secret.field
FROM (SELECT NULL::text AS relation, NULL::text AS row_id, NULL::text AS field, false AS whole, NULL::jsonb AS value) AS secret
CROSS JOIN LATERAL (
  SELECT CASE WHEN NOT secret.whole THEN secret.value
              WHEN secret.value #>> '{}' ~ ('^\s*\{\s*"[a-zA-Z]+"\s*:\s*("[^"\\[:cntrl:]]*"|0|[1-9][0-9]{0,8})'
                                         || '(\s*,\s*"[a-zA-Z]+"\s*:\s*("[^"\\[:cntrl:]]*"|0|[1-9][0-9]{0,8}))*\s*\}\s*$')
              THEN (secret.value #>> '{}')::jsonb END AS object
) AS e
WHERE secret.value <> 'null' AND NOT COALESCE(jsonb_typeof(e.object) = 'object' AND jsonb_path_exists(e.object, '$ ? (
        @.encrypted.type() == "string" && @.authTag.type() == "string" && @.iv.type() == "string"
        && (!exists(@.v) || (@.v == 1 || @.v == 2) && @.alg == "A256GCM" && @.kid.type() == "string"))')
        AND e.object ->> 'encrypted' ~ '^[0-9a-f]+$' AND octet_length(e.object ->> 'encrypted') % 2 = 0
        AND e.object ->> 'authTag' ~ '^[0-9a-f]+$' AND octet_length(e.object ->> 'authTag') = 32
        AND e.object ->> 'iv' ~ '^[0-9a-f]+$' AND octet_length(e.object ->> 'iv') IN (24, 32), false);

-- check: declared-secrets-known-key: every encrypted secret in such a field names a key of the key ring
SELECT secret.relation, secret.row_id, secret.field, COALESCE(e.object ->> 'kid', 'no id') AS key
FROM (SELECT NULL::text AS relation, NULL::text AS row_id, NULL::text AS field, false AS whole, NULL::jsonb AS value) AS secret
CROSS JOIN LATERAL (
  SELECT CASE WHEN NOT secret.whole THEN secret.value
              WHEN secret.value #>> '{}' ~ ('^\s*\{\s*"[a-zA-Z]+"\s*:\s*("[^"\\[:cntrl:]]*"|0|[1-9][0-9]{0,8})'
                                         || '(\s*,\s*"[a-zA-Z]+"\s*:\s*("[^"\\[:cntrl:]]*"|0|[1-9][0-9]{0,8}))*\s*\}\s*$')
              THEN (secret.value #>> '{}')::jsonb END AS object
) AS e
CROSS JOIN (SELECT nullif(current_setting('callctl.known_keys', true), '')::jsonb AS known) AS keys
WHERE jsonb_typeof(e.object) = 'object' AND e.object ? 'encrypted' AND NOT keys.known ? COALESCE(e.object ->> 'kid', '');
