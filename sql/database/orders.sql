-- The orders from other terminals since an action, oldest first. %(since)s: the id of that action
SELECT id, split_part(command, ' ', 2) AS word, taken_at AS at, database_role AS role, client
FROM callctl.action
WHERE id > %(since)s AND command IN ('migrate pause', 'migrate resume', 'migrate slower', 'migrate faster')
ORDER BY id
