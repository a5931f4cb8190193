-- finding: replication-lag
-- direction: both
-- ok: no replica is behind
-- why: the backfills write WAL; a replica that is already behind falls further back, and its queries
--      return old data
-- do: wait until it has caught up, or send no reads to it during the migration

SELECT
    CASE WHEN r.state IS NULL THEN 'unknown' ELSE 'warns' END AS level,
    CASE
        WHEN r.state IS NULL THEN format('role %s may not see how far replica %s is behind; a superuser can GRANT pg_read_all_stats to it',
                                         current_user, coalesce(nullif(r.application_name, ''), r.pid::text))
        ELSE format('replica %s (%s) is %s behind%s', coalesce(nullif(r.application_name, ''), r.pid::text), r.state,
                    pg_size_pretty(r.behind), coalesce(', ' || date_trunc('second', r.replay_lag)::text, ''))
    END AS what,
    coalesce(nullif(r.application_name, ''), r.pid::text) AS object
FROM (
    SELECT
        s.pid, s.application_name, s.state, s.replay_lag,
        pg_wal_lsn_diff(
            CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END, s.replay_lsn
        )::bigint AS behind
    FROM pg_catalog.pg_stat_replication AS s
) AS r
WHERE r.state IS NULL OR r.behind > 64 * 1024 * 1024 OR r.replay_lag > interval '30 seconds';
