-- steps: 9
-- means: the application can't read the secret: calls through this account fail
-- mends: put the key back into the key ring, or store the secret anew through the application

-- callctl.known_keys holds the ids of the key ring, as a JSON array; where there is no key ring, it is not set, and nothing
-- is asked.
-- check: accounts-secrets-known-key: every secret is encrypted under a key of the key ring
SELECT a.id AS account, f.field, e.object ->> 'kid' AS kid
FROM chatapp.integration_accounts AS a
CROSS JOIN LATERAL (
  SELECT 'access_token' AS field, to_jsonb(a.access_token) AS value
  UNION ALL SELECT 'refresh_token', to_jsonb(a.refresh_token)
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
WHERE e.object ->> 'kid' IS NOT NULL
  AND NOT nullif(current_setting('callctl.known_keys', true), '')::jsonb ? (e.object ->> 'kid');
