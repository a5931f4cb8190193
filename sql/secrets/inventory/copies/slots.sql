-- The replication slots that keep WAL of this database: the plugin of a logical one, and how much WAL it keeps.
SELECT s.slot_name::text AS name, s.slot_type AS type, coalesce(s.plugin::text, '') AS plugin, s.active,
       coalesce(pg_size_pretty(pg_wal_lsn_diff(
         CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END, s.restart_lsn)), 'no WAL') AS keeps
FROM pg_replication_slots AS s
WHERE s.database IS NULL OR s.database = current_database()
ORDER BY 1
