-- The accounts whose webhook secret is to be replaced, in the order of their ids; {limit} and {locking} for a batch.
-- %(account)s, %(company)s: NULL for all; %(above)s: the last that is done
SELECT t.id::text, t.company_id::text, t.account_type, t.account_name, t.webhook_url, t.webhook_secret
FROM {accounts} AS t
WHERE t.deleted_at IS NULL AND t.webhook_secret <> ''
  AND (%(account)s::uuid IS NULL OR t.id = %(account)s::uuid)
  AND (%(company)s::uuid IS NULL OR t.company_id = %(company)s::uuid)
  AND (%(above)s::uuid IS NULL OR t.id > %(above)s::uuid)
ORDER BY t.id
{limit}
{locking}
