-- The statements that give the rehearsal's database and the target's roles their search_path: functions of triggers go by it.
-- No other setting: its value may be a secret.
SELECT CASE WHEN s.setdatabase = 0 THEN format('ALTER ROLE %I SET', r.rolname)
            WHEN s.setrole = 0 THEN 'ALTER DATABASE rehearsal SET'
            ELSE format('ALTER ROLE %I IN DATABASE rehearsal SET', r.rolname) END
       || ' search_path TO ' || substr(c.entry, length('search_path=') + 1) AS statement
FROM pg_catalog.pg_db_role_setting AS s
CROSS JOIN LATERAL unnest(s.setconfig) AS c(entry)
LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = s.setrole
WHERE c.entry LIKE 'search\_path=%'
  AND s.setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))
  AND (s.setrole <> 0 OR s.setdatabase <> 0) AND coalesce(r.rolname, '') !~ '^pg_'
ORDER BY 1
