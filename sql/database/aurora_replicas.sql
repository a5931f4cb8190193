-- The replicas of Amazon Aurora, which pg_stat_replication does not show, and how many milliseconds each is behind.
SELECT server_id::text, replica_lag_in_msec::float8 FROM aurora_replica_status() WHERE session_id <> 'MASTER_SESSION_ID'
