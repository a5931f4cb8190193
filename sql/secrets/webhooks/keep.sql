-- The previous secrets, encrypted, in the transaction that replaces them.
-- %(rotation)s, %(accounts)s, %(companies)s, %(secrets)s, %(left_there)s; %(seconds)s: for how long
INSERT INTO callctl.kept_webhook_secret (rotation, account_id, company_id, webhook_secret, left_there, keep_until)
SELECT %(rotation)s, k.account_id, k.company_id, k.webhook_secret, k.left_there, now() + make_interval(secs => %(seconds)s)
FROM unnest(%(accounts)s::uuid[], %(companies)s::uuid[], %(secrets)s::text[], %(left_there)s::text[])
  AS k (account_id, company_id, webhook_secret, left_there)
RETURNING keep_until
