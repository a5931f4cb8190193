-- How many accounts are passed over: soft-deleted ones with a webhook secret; and live ones without. %(account)s, %(company)s
SELECT count(*) FILTER (WHERE t.deleted_at IS NOT NULL AND t.webhook_secret <> ''),
       count(*) FILTER (WHERE t.deleted_at IS NULL AND coalesce(t.webhook_secret, '') = ''),
       count(*)
FROM {accounts} AS t
WHERE (%(account)s::uuid IS NULL OR t.id = %(account)s::uuid)
  AND (%(company)s::uuid IS NULL OR t.company_id = %(company)s::uuid)
