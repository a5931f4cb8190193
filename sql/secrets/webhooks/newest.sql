-- Of each of these accounts the secret that was kept last. %(accounts)s
SELECT DISTINCT ON (k.account_id) k.account_id::text, k.id, k.company_id::text, k.webhook_secret, k.left_there
FROM callctl.kept_webhook_secret AS k
WHERE k.account_id = ANY (%(accounts)s::uuid[]) AND k.keep_until > now()
ORDER BY k.account_id, k.id DESC
