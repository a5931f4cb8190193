-- finding: event-triggers
-- direction: both
-- ok: no event trigger runs on DDL
-- why: an event trigger runs in each step's transaction and can slow it down, refuse it or change its result; callctl
--      tried the steps' kinds of DDL on a table of its own, but a function that checks a table's name may still refuse
-- do: read its function, and disable it for the migration if it refuses ALTER TABLE, CREATE or DROP

SELECT
    'warns' AS level,
    format('event trigger %I (%s) runs %s', e.evtname, e.evtevent, e.evtfoid::regprocedure) AS what,
    e.evtname::text AS object,
    format('read its function %s; if it refuses the steps: ALTER EVENT TRIGGER %I DISABLE; and after the migration: ALTER EVENT TRIGGER'
           ' %I ENABLE%s;', e.evtfoid::regprocedure, e.evtname, e.evtname,
           CASE e.evtenabled WHEN 'A' THEN ' ALWAYS' WHEN 'R' THEN ' REPLICA' ELSE '' END) AS fix
FROM pg_catalog.pg_event_trigger AS e
WHERE e.evtenabled <> 'D';
