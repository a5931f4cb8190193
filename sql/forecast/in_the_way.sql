-- Who has a lock on these tables, or waits for one: a new request for a conflicting lock waits behind both.
-- %(oids)s are the tables. Of sessions of other roles, the application and the age are seen by members of pg_read_all_stats alone.
SELECT l.relation::bigint AS relation, l.mode,
       CASE WHEN l.pid IS NULL THEN 'a prepared transaction'
            WHEN a.backend_type <> 'client backend' THEN a.backend_type
            ELSE coalesce(nullif(a.application_name, ''), 'role ' || quote_ident(a.usename), 'another session') END AS holder,
       coalesce(extract(epoch FROM clock_timestamp() - a.xact_start), 0)::float8 AS seconds
FROM pg_catalog.pg_locks AS l
LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.relation = ANY (%(oids)s::oid[])
  AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database())
  AND l.pid IS DISTINCT FROM pg_backend_pid()
