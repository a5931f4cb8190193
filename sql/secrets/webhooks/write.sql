-- The new values go into rows that this transaction has locked. The accounts that were written.
UPDATE {accounts} AS t SET webhook_secret = n.webhook_secret
FROM pg_temp.callctl_new_value AS n
WHERE t.id = n.account_id
RETURNING t.id::text
