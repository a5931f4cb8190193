-- The triggers of these tables and the event triggers whose function the server names in the context of an error, each with the
-- statement that disables it. callctl's own are left out. %(schema)s, %(tables)s, %(context)s: the error's context
SELECT format('trigger %%I on %%s.%%I', t.tgname, n.nspname, c.relname), p.oid::regprocedure::text,
       format('ALTER TABLE %%I.%%I DISABLE TRIGGER %%I', n.nspname, c.relname, t.tgname)
FROM pg_catalog.pg_trigger AS t
JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid
WHERE n.nspname = %(schema)s AND c.relname = ANY (%(tables)s) AND NOT t.tgisinternal AND t.tgenabled <> 'D'
  AND p.pronamespace <> coalesce(to_regnamespace('callctl'), 0::oid)
  AND %(context)s ~ format('(^|[^[:alnum:]_])"?%%s"?\W', regexp_replace(p.proname, '([^[:alnum:]_])', '\\\1', 'g'))
UNION ALL
SELECT format('event trigger %%I', e.evtname), p.oid::regprocedure::text, format('ALTER EVENT TRIGGER %%I DISABLE', e.evtname)
FROM pg_catalog.pg_event_trigger AS e
JOIN pg_catalog.pg_proc AS p ON p.oid = e.evtfoid
WHERE e.evtenabled <> 'D'
  AND %(context)s ~ format('(^|[^[:alnum:]_])"?%%s"?\W', regexp_replace(p.proname, '([^[:alnum:]_])', '\\\1', 'g'))
ORDER BY 1
