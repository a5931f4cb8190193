-- What a change of a column's type goes by: of a domain the type below it, and whether it checks anything.
SELECT t.oid::bigint AS oid, t.typname AS name, t.typtype::text AS kind, nullif(t.typbasetype, 0)::bigint AS base, t.typtypmod AS modifier,
       t.typtype = 'd' AND (t.typnotnull OR EXISTS (SELECT FROM pg_constraint AS k WHERE k.contypid = t.oid)) AS checked
FROM pg_type AS t
WHERE t.typtype = 'd' OR t.typnamespace = 'pg_catalog'::regnamespace AND t.typtype = 'b' AND t.typelem = 0
