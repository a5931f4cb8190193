-- The WAL position of this server and of each replica: bytes from its beginning. NULL where the role may not see it.
SELECT pg_wal_lsn_diff(here.lsn, '0/0')::bigint, coalesce(nullif(r.application_name, ''), r.pid::text),
       pg_wal_lsn_diff(r.replay_lsn, '0/0')::bigint
FROM (SELECT pg_current_wal_lsn() AS lsn) AS here
LEFT JOIN pg_stat_replication AS r ON true
