-- What a session waits for, if it is a synchronous standby. %(pid)s: its process
SELECT format('a synchronous standby to confirm what is committed (synchronous_standby_names is %%s; %%s connected)',
              current_setting('synchronous_standby_names'),
              (SELECT count(*) FROM pg_catalog.pg_stat_replication AS r WHERE r.sync_state IN ('sync', 'quorum')))
FROM pg_catalog.pg_stat_activity AS s
WHERE s.pid = %(pid)s AND s.wait_event = 'SyncRep'
