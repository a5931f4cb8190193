-- The number of checkpoints that came before their time: forced by WAL, or asked for; and the seconds between two of them that the
-- server itself warns of. From PostgreSQL 17 on.
SELECT pg_stat_get_checkpointer_num_requested(),
       (SELECT setting::integer FROM pg_catalog.pg_settings WHERE name = 'checkpoint_warning')
