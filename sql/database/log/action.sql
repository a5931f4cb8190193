-- The audit trail, newest first. The parameters are those of history.sql.
SELECT e.*
FROM (
  SELECT 'action' AS relation, a.id::text AS id, NULL::timestamptz AS started_at, a.taken_at AS at, a.command,
         'done' AS outcome, a.database_role, a.client, a.callctl_version, a.detail
  FROM callctl.action AS a
) AS e
WHERE (%(since)s::timestamptz IS NULL OR e.at >= %(since)s) AND (%(until)s::timestamptz IS NULL OR e.at <= %(until)s)
  AND (%(command)s::text IS NULL OR e.command = %(command)s OR starts_with(e.command, %(command)s || ' '))
  AND (%(client)s::text IS NULL OR position(%(client)s IN e.client) > 0)
ORDER BY e.at DESC, e.id::bigint DESC
LIMIT %(last)s
