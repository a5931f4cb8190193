-- The steps taken, newest first. %(since)s and %(until)s: the times between which they ended; %(command)s: the command, or its first
-- words; %(client)s: a part of the client; %(last)s: how many at most. Each of them is NULL where it does not matter.
SELECT e.*
FROM (
  SELECT 'history' AS relation, h.id::text AS id, h.started_at, h.finished_at AS at,
         CASE WHEN h.adopted THEN 'migrate adopt' ELSE 'migrate ' || h.direction END AS command,
         'done' AS outcome, h.database_role, h.client, h.callctl_version,
         jsonb_build_object('step', h.step, 'direction', h.direction, 'file', h.file, 'sha256', h.sha256) AS detail
  FROM callctl.history AS h
) AS e
WHERE (%(since)s::timestamptz IS NULL OR e.at >= %(since)s) AND (%(until)s::timestamptz IS NULL OR e.at <= %(until)s)
  AND (%(command)s::text IS NULL OR e.command = %(command)s OR starts_with(e.command, %(command)s || ' '))
  AND (%(client)s::text IS NULL OR position(%(client)s IN e.client) > 0)
ORDER BY e.at DESC, e.id::bigint DESC
LIMIT %(last)s
