-- Who receives this server's WAL at the moment: the application name, or the process where that is hidden. And whether WAL is archived.
SELECT ARRAY(SELECT coalesce(nullif(r.application_name, ''), 'pid ' || r.pid) FROM pg_stat_replication AS r ORDER BY 1) AS replicas,
       current_setting('archive_mode') <> 'off' AS archived
