-- The event triggers that DDL of this session fires, and how to switch each off and on again.
SELECT e.evtname::text AS name, e.evtevent::text AS event, p.proname::text AS function,
       format('ALTER EVENT TRIGGER %I DISABLE;', e.evtname) AS off,
       format('ALTER EVENT TRIGGER %I %s;', e.evtname,
              CASE e.evtenabled WHEN 'A' THEN 'ENABLE ALWAYS' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE' END) AS back
FROM pg_catalog.pg_event_trigger AS e
JOIN pg_catalog.pg_proc AS p ON p.oid = e.evtfoid
WHERE e.evtenabled IN ('O', 'A') AND e.evtevent IN ('ddl_command_start', 'ddl_command_end', 'sql_drop', 'table_rewrite')
ORDER BY e.evtname
