-- finding: synchronous-standby
-- direction: both
-- ok: no commit waits for a standby that is not connected
-- why: with synchronous_standby_names a commit waits until that number of standbys has confirmed it; while they are not
--      connected it waits forever, without an error
-- do: start the standby; callctl checks again under its lock

SELECT
    CASE WHEN q.hidden THEN 'unknown' ELSE 'blocks' END AS level,
    CASE WHEN q.hidden
         THEN format('role %s may not see whether the %s connected replica(s) are the synchronous ones that synchronous_standby_names'
                     ' (%s) wants', current_user, q.replicas, q.wanted)
         ELSE format('every commit waits for %s standby(s) of synchronous_standby_names (%s), and %s of them %s connected', q.needed,
                     q.wanted, q.connected, CASE WHEN q.connected = 1 THEN 'is' ELSE 'are' END)
    END AS what,
    'synchronous_standby_names' AS object,
    CASE WHEN q.hidden THEN format('GRANT pg_read_all_stats TO %I; then run preflight again', current_user)
         ELSE 'start the standby; or, if it does not return, as a superuser: ALTER SYSTEM SET synchronous_standby_names = '''';'
              ' SELECT pg_reload_conf();' END AS fix
FROM (
    SELECT
        current_setting('synchronous_standby_names') AS wanted,
        coalesce((regexp_match(current_setting('synchronous_standby_names'), '^\s*(?:FIRST\s|ANY\s)?\s*(\d+)\s*\(', 'i'))[1], '1')::integer
            AS needed,
        (SELECT count(*) FROM pg_catalog.pg_stat_replication AS r) AS replicas,
        (SELECT count(*) FROM pg_catalog.pg_stat_replication AS r WHERE r.sync_state IN ('sync', 'quorum')) AS connected,
        EXISTS (SELECT FROM pg_catalog.pg_stat_replication AS r WHERE r.sync_state IS NULL) AS hidden
    FROM pg_catalog.pg_settings AS s
    WHERE s.name = 'synchronous_commit' AND s.reset_val NOT IN ('off', 'local')
) AS q
WHERE q.wanted <> '' AND q.connected < q.needed;
