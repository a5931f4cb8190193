-- The accounts that do not hold their new value, once every trigger has fired.
SELECT n.account_id::text
FROM pg_temp.callctl_new_value AS n LEFT JOIN {accounts} AS t ON t.id = n.account_id
WHERE t.webhook_secret COLLATE "C" IS DISTINCT FROM n.webhook_secret COLLATE "C"
ORDER BY 1
