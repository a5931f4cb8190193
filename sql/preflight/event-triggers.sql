-- finding: event-triggers
-- direction: both
-- ok: no event trigger runs on DDL
-- why: an event trigger runs inside each step's own transaction, and can slow it down or refuse it
-- do: read its function; ask whoever owns it whether it lets ALTER TABLE, CREATE and DROP through

SELECT
    'warns' AS level,
    format('event trigger %I (%s) runs %s', e.evtname, e.evtevent, e.evtfoid::regprocedure) AS what,
    e.evtname::text AS object
FROM pg_catalog.pg_event_trigger AS e
WHERE e.evtenabled <> 'D';
