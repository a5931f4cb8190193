-- Why the server refused a query with row_security = off: the tables that its message names (the server writes it in its own
-- language, but never translates a name) whose policies apply to this role. %(message)s; %(context)s: where it says it happened.
-- The table; whether this role owns it, so that only FORCE makes them apply; the policies; the triggers of the platform that are
-- named there, which run as this role.
SELECT c.oid::regclass::text,
       pg_catalog.pg_has_role(c.relowner, 'USAGE') AS owned,
       ARRAY(SELECT p.polname::text FROM pg_catalog.pg_policy AS p
             WHERE p.polrelid = c.oid
               AND EXISTS (SELECT FROM unnest(p.polroles) AS r (oid) WHERE r.oid = 0 OR pg_catalog.pg_has_role(r.oid, 'USAGE'))
             ORDER BY p.polname) AS policies,
       ARRAY(SELECT format('%%I on %%s (function %%s)', g.tgname, g.tgrelid::regclass, g.tgfoid::regprocedure)
             FROM pg_catalog.pg_trigger AS g JOIN pg_catalog.pg_proc AS f ON f.oid = g.tgfoid
             WHERE NOT g.tgisinternal AND NOT f.prosecdef AND position(f.proname IN %(context)s::text) > 0
             ORDER BY 1) AS triggers,
       quote_ident(current_user)
FROM pg_catalog.pg_class AS c
WHERE c.relrowsecurity AND c.relkind IN ('r', 'p')
  AND position('"' || c.relname || '"' IN %(message)s::text) > 0
  AND row_security_active(c.oid)
ORDER BY 1
