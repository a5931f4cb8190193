-- The same, before PostgreSQL 17.
SELECT pg_stat_get_bgwriter_requested_checkpoints(),
       (SELECT setting::integer FROM pg_catalog.pg_settings WHERE name = 'checkpoint_warning')
