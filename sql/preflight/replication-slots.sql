-- finding: replication-slots
-- direction: both
-- ok: every replication slot is in use
-- why: an unused slot keeps all WAL since it was last read, and the backfills add to it until the
--      disk is full
-- do: start its consumer, or drop it with pg_drop_replication_slot()

SELECT
    'warns' AS level,
    format('%s replication slot %s is not in use and keeps %s of WAL', s.slot_type, s.slot_name,
           coalesce(pg_size_pretty(pg_wal_lsn_diff(
               CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END,
               s.restart_lsn)::bigint), 'none')) AS what,
    s.slot_name::text AS object,
    format('start its consumer, or, if it is not needed any more: SELECT pg_drop_replication_slot(%L);', s.slot_name) AS fix
FROM pg_catalog.pg_replication_slots AS s
WHERE NOT s.active AND NOT s.temporary;
