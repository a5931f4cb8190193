-- The number of checkpoints that came before their time: forced by WAL, or asked for; the WAL position in bytes; the bytes of WAL that
-- force one; and the seconds between two such of which the server itself warns. Before PostgreSQL 17.
SELECT pg_stat_get_bgwriter_requested_checkpoints() AS requested, pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint AS written,
       (SELECT setting::float8 FROM pg_catalog.pg_settings WHERE name = 'max_wal_size') * 1024 * 1024
         / (1 + current_setting('checkpoint_completion_target')::float8) AS forcing,
       (SELECT setting::integer FROM pg_catalog.pg_settings WHERE name = 'checkpoint_warning') AS warned
