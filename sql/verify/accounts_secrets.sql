-- steps: 9
-- means: any reader of the table or of a backup can read a secret of a customer's telephony account
-- fix: run callctl rotate-secrets to encrypt plaintext; store a damaged secret again through the application

-- An encrypted secret is {"encrypted", "iv", "authTag"} in hex, as L1113-1145 makes it, or the same with "v", "alg" and
-- "kid". In the two text columns it is that object as text. This checks the form. The secret is never shown.
-- accounts_keys.sql reads the secrets in the same words, so that one scan does both.
-- check: accounts-secrets-encrypted: every secret of an integration account is encrypted
SELECT a.id AS account, a.account_type, secrets.plain AS fields
FROM chatapp.integration_accounts AS a
LEFT JOIN LATERAL (
  SELECT string_agg(f.field, ', ') FILTER (WHERE NOT COALESCE(jsonb_typeof(e.object) = 'object' AND jsonb_path_exists(e.object, '$ ? (
           @.encrypted.type() == "string" && @.authTag.type() == "string" && @.iv.type() == "string"
           && (!exists(@.v) || (@.v == 1 || @.v == 2) && @.alg == "A256GCM" && @.kid.type() == "string"))')
           AND e.object ->> 'encrypted' ~ '^[0-9a-f]+$' AND octet_length(e.object ->> 'encrypted') % 2 = 0
           AND e.object ->> 'authTag' ~ '^[0-9a-f]+$' AND octet_length(e.object ->> 'authTag') = 32
           AND e.object ->> 'iv' ~ '^[0-9a-f]+$' AND octet_length(e.object ->> 'iv') IN (24, 32), false)) AS plain,
         string_agg(concat(f.field, ' (', COALESCE(e.object ->> 'kid', 'no id'), ')'), ', ') FILTER (
           WHERE jsonb_typeof(e.object) = 'object' AND NOT keys.known ? COALESCE(e.object ->> 'kid', '')) AS strange
  FROM (
    SELECT 'access_token' AS field, to_jsonb(a.access_token) AS value WHERE a.access_token IS NOT NULL
    UNION ALL SELECT 'refresh_token', to_jsonb(a.refresh_token) WHERE a.refresh_token IS NOT NULL
    UNION ALL SELECT 'credentials.' || k.key, a.credentials -> k.key
      FROM (VALUES ('twilio', 'authToken'), ('twilio', 'apiKeySecret'), ('whatsapp', 'accessToken'), ('whatsapp', 'appSecret'),
                   ('custom', 'password')) AS k (type, key)
      WHERE k.type = a.account_type
    UNION ALL SELECT format('credentials.turnServers[%s].credential', s.at - 1), s.server -> 'credential'
      FROM jsonb_array_elements(CASE WHEN jsonb_typeof(a.credentials -> 'turnServers') = 'array'
                                THEN a.credentials -> 'turnServers' ELSE '[]' END) WITH ORDINALITY AS s (server, at)
      WHERE a.account_type = 'custom'
  ) AS f
  CROSS JOIN LATERAL (
    -- Only text that is JSON for certain is read as JSON: a flat object of plain strings and numbers.
    SELECT CASE WHEN jsonb_typeof(f.value) <> 'string' OR f.field LIKE 'credentials.%' THEN f.value
                WHEN f.value #>> '{}' ~ ('^\s*\{\s*"[a-zA-Z]+"\s*:\s*("[^"\\[:cntrl:]]*"|0|[1-9][0-9]{0,8})'
                                      || '(\s*,\s*"[a-zA-Z]+"\s*:\s*("[^"\\[:cntrl:]]*"|0|[1-9][0-9]{0,8}))*\s*\}\s*$')
                THEN (f.value #>> '{}')::jsonb END AS object
  ) AS e
  CROSS JOIN (SELECT nullif(current_setting('callctl.known_keys', true), '')::jsonb AS known) AS keys
  WHERE f.value <> 'null'
) AS secrets ON true
WHERE secrets.plain IS NOT NULL;
