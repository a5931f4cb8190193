-- The new values go into rows that this transaction has locked; and whether that is what then stands there.
UPDATE {accounts} AS t SET webhook_secret = n.webhook_secret
FROM pg_temp.callctl_new_value AS n
WHERE t.id = n.account_id
RETURNING t.webhook_secret = n.webhook_secret
