-- The audit trail, newest first, of one command or of all. %(command)s
SELECT id, command, detail, taken_at, database_role, client
FROM callctl.action
WHERE %(command)s::text IS NULL OR command = %(command)s
ORDER BY id DESC
