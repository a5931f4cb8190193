-- What is kept, and until when; never a value. The fingerprint is that of the secret which took its place.
SELECT account_id::text, company_id::text, rotation, kept_at, keep_until, left(left_there, 12)
FROM callctl.kept_webhook_secret ORDER BY keep_until, account_id, id
