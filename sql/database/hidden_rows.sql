-- The tables whose policies apply to this role: the server refuses a query of one with row_security = off, and names the table in
-- its message (in its own language, but it never translates a name). The name in the message; the table; whether this role owns
-- it, so that only FORCE makes them apply; the policies; the triggers of the platform, each with the function that the error's
-- context names if it was running: those run as this role.
SELECT c.relname::text,
       c.oid::regclass::text,
       pg_catalog.pg_has_role(c.relowner, 'USAGE') AS owned,
       ARRAY(SELECT p.polname::text FROM pg_catalog.pg_policy AS p
             WHERE p.polrelid = c.oid
               AND EXISTS (SELECT FROM unnest(p.polroles) AS r (oid) WHERE r.oid = 0 OR pg_catalog.pg_has_role(r.oid, 'USAGE'))
             ORDER BY p.polname) AS policies,
       ARRAY(SELECT ARRAY[f.proname::text, format('%I on %s (function %s)', g.tgname, g.tgrelid::regclass, g.tgfoid::regprocedure)]
             FROM pg_catalog.pg_trigger AS g JOIN pg_catalog.pg_proc AS f ON f.oid = g.tgfoid
             WHERE NOT g.tgisinternal AND NOT f.prosecdef
             ORDER BY 1) AS triggers,
       quote_ident(current_user)
FROM pg_catalog.pg_class AS c
WHERE c.relrowsecurity AND c.relkind IN ('r', 'p') AND row_security_active(c.oid)
ORDER BY 2
