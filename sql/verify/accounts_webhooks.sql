-- steps: 9
-- means: the provider sends calls to no account, or to another one
-- fix: UPDATE the account's webhook_url to the documented form, and enter it at the provider

-- L1030-1036: https://HOST/api/webhooks/twilio/voice/ACCOUNT, and .../whatsapp/call/ACCOUNT. The document's own development
-- accounts end in a name, not in the account's id, so the end is checked only if it looks like an id. The host is a name or
-- an address, without a user before it: of https://chat.example@evil.example/ the host is evil.example. The rest has the
-- characters of a URL: no {{accountId}} that was not filled in, no control character. No part is the id of another account. A regular
-- expression reads an address letter by letter, so a comparison first accepts one that has the form and ends in the id.
-- check: accounts-webhooks: webhook URLs have the documented form, and lead to their own account
SELECT a.id AS account, a.account_type, a.webhook_url
FROM chatapp.integration_accounts AS a
WHERE a.webhook_url IS NOT NULL
  AND NOT (split_part(a.webhook_url, '/', 3) COLLATE "C" ~ '^[A-Za-z0-9._-]+(:[0-9]{1,5})?$'
           AND a.webhook_url = concat('https://', split_part(a.webhook_url, '/', 3), CASE a.account_type
             WHEN 'twilio' THEN '/api/webhooks/twilio/voice/' WHEN 'whatsapp' THEN '/api/webhooks/whatsapp/call/' END, a.id))
  AND (
     a.webhook_url COLLATE "C" !~ CASE a.account_type
        WHEN 'twilio' THEN '^https://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?/api/webhooks/twilio/voice/[A-Za-z0-9._~-]+$'
        WHEN 'whatsapp' THEN '^https://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?/api/webhooks/whatsapp/call/[A-Za-z0-9._~-]+$'
        ELSE '^https://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?/([A-Za-z0-9._~:/?#@!$&''()*+,;=-]|%[0-9A-Fa-f]{2})*$' END
  OR a.account_type IN ('twilio', 'whatsapp')
      AND replace(lower(split_part(a.webhook_url, '/', 8)), '-', '') COLLATE "C" ~ '^[0-9a-f]{32}$'
      AND replace(lower(split_part(a.webhook_url, '/', 8)), '-', '') <> replace(a.id::text, '-', '')
  OR EXISTS (
      SELECT FROM regexp_matches(a.webhook_url, '[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}', 'gi') AS m (ids)
      JOIN chatapp.integration_accounts AS o ON o.id = m.ids[1]::uuid
      WHERE o.id <> a.id));
