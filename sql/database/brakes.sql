-- Reasons of the server's to let it catch up before the next batch: kind, and what to say. What a role may not see is no reason.
-- %(schema)s
SELECT 'autovacuum' AS kind,
       format('an autovacuum of %%s that prevents wraparound (pid %%s)', p.relid::regclass, p.pid) AS what
FROM pg_catalog.pg_stat_progress_vacuum AS p
JOIN pg_catalog.pg_stat_activity AS a ON a.pid = p.pid
JOIN pg_catalog.pg_class AS c ON c.oid = p.relid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE p.datname = current_database() AND n.nspname = %(schema)s AND a.query LIKE 'autovacuum:%%(to prevent wraparound)'
UNION ALL
-- Half of what the server keeps for a slot before it gives the slot up. PostgreSQL 12 keeps everything.
SELECT 'slot', format('replication slot %%s, %%s behind', s.slot_name, pg_size_pretty(s.behind))
FROM (SELECT slot_name, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) AS behind FROM pg_catalog.pg_replication_slots) AS s
JOIN pg_catalog.pg_settings AS g ON g.name = 'max_slot_wal_keep_size'
WHERE g.setting::bigint > 0 AND s.behind > g.setting::bigint * 1024 * 1024 / 2
ORDER BY 1, 2
