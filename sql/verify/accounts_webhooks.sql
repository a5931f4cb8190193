-- steps: 9
-- means: the provider's calls go nowhere, or to another account
-- mends: UPDATE the account's webhook_url to the documented form, and enter it at the provider

-- L1030-1036: https://HOST/api/webhooks/twilio/voice/ACCOUNT, and .../whatsapp/call/ACCOUNT. The document's own development
-- accounts end in a name, not in the account's id, so that the end is only asked for where it looks like an id. A regular
-- expression works its way through an address letter by letter: one that is of the form and ends in the id is known by sight.
-- check: accounts-webhooks: webhook addresses have the documented form, and lead to their own account
SELECT a.id AS account, a.account_type, a.webhook_url
FROM chatapp.integration_accounts AS a
WHERE a.webhook_url IS NOT NULL
  AND NOT (split_part(a.webhook_url, '/', 3) COLLATE "C" ~ '^[^?#[:space:]]+$'
           AND a.webhook_url = concat('https://', split_part(a.webhook_url, '/', 3), CASE a.account_type
             WHEN 'twilio' THEN '/api/webhooks/twilio/voice/' WHEN 'whatsapp' THEN '/api/webhooks/whatsapp/call/' END, a.id))
  AND (
     a.webhook_url COLLATE "C" !~ CASE a.account_type
        WHEN 'twilio' THEN '^https://[^/?#[:space:]]+/api/webhooks/twilio/voice/[^/?#[:space:]]+$'
        WHEN 'whatsapp' THEN '^https://[^/?#[:space:]]+/api/webhooks/whatsapp/call/[^/?#[:space:]]+$'
        ELSE '^https://[^/?#[:space:]]+/[^[:space:]]*$' END
  OR a.account_type IN ('twilio', 'whatsapp') AND a.webhook_url NOT LIKE '%/' || a.id
      AND lower(right(a.webhook_url, 36)) <> a.id::text AND right(a.webhook_url, 37) ~* '^/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$');
