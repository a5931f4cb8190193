-- The rotations, newest first: by their end, or by their start while they are under way. The parameters are those of history.sql.
SELECT e.*
FROM (
  SELECT 'rotation' AS relation, r.id::text AS id, r.started_at, coalesce(r.finished_at, r.started_at) AS at,
         CASE r.kind WHEN 'credentials' THEN 'rotate-secrets' WHEN 'webhook_secrets' THEN 'webhooks rotate'
                     ELSE 'webhooks restore' END AS command,
         coalesce(r.outcome, 'under way') AS outcome, r.database_role, r.client, r.callctl_version,
         jsonb_build_object('to_key', r.to_key, 'from_keys', r.from_keys, 'binding', r.binding, 'failures', r.failures) AS detail
  FROM callctl.rotation AS r
) AS e
WHERE (%(since)s::timestamptz IS NULL OR e.at >= %(since)s) AND (%(until)s::timestamptz IS NULL OR e.at <= %(until)s)
  AND (%(command)s::text IS NULL OR e.command = %(command)s OR starts_with(e.command, %(command)s || ' '))
  AND (%(client)s::text IS NULL OR position(%(client)s IN e.client) > 0)
ORDER BY e.at DESC, e.id::bigint DESC
LIMIT %(last)s
