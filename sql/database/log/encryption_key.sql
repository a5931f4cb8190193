-- The keys that were retired, newest first; the key ledger does not say by whom. The parameters are those of history.sql.
SELECT e.*
FROM (
  SELECT 'encryption_key' AS relation, k.id, NULL::timestamptz AS started_at, k.retired_at AS at, 'keys retire' AS command,
         'done' AS outcome, NULL::text AS database_role, NULL::text AS client, NULL::text AS callctl_version,
         jsonb_build_object('key', k.id) AS detail
  FROM callctl.encryption_key AS k
  WHERE k.retired_at IS NOT NULL
) AS e
WHERE (%(since)s::timestamptz IS NULL OR e.at >= %(since)s) AND (%(until)s::timestamptz IS NULL OR e.at <= %(until)s)
  AND (%(command)s::text IS NULL OR e.command = %(command)s OR starts_with(e.command, %(command)s || ' '))
  AND (%(client)s::text IS NULL OR position(%(client)s IN e.client) > 0)
ORDER BY e.at DESC, e.id DESC
LIMIT %(last)s
