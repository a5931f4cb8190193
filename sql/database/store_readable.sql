-- Whose callctl's schema or tables are, where this role may not read them; no row where it may, or where there is no schema.
SELECT r.rolname AS owner,
       CASE WHEN r.rolsuper
            THEN format('connect as %s, or as a superuser: GRANT USAGE ON SCHEMA callctl TO %I; GRANT SELECT ON ALL TABLES IN SCHEMA callctl'
                        ' TO %I; then callctl preflight says what writing needs', r.rolname, current_user, current_user)
            ELSE format('connect as %s, or run: GRANT %I TO %I;', r.rolname, r.rolname, current_user) END AS remedy,
       current_user AS reader
FROM pg_namespace AS n
LEFT JOIN LATERAL (
    SELECT c.relowner FROM pg_class AS c
    WHERE c.relnamespace = n.oid AND c.relname IN ('installation', 'history', 'checkpoint', 'definition', 'made')
      AND NOT has_table_privilege(c.oid, 'SELECT')
    LIMIT 1
) AS t ON true
JOIN pg_roles AS r ON r.oid = CASE WHEN has_schema_privilege(n.oid, 'USAGE') THEN t.relowner ELSE n.nspowner END
WHERE n.nspname = 'callctl'
