-- The search_path that roles have in this database: the database's own, then those of roles in it, then those of roles everywhere.
SELECT substr(setting.text, length('search_path=') + 1)
FROM pg_catalog.pg_db_role_setting AS s
LEFT JOIN pg_catalog.pg_database AS d ON d.oid = s.setdatabase
CROSS JOIN LATERAL unnest(s.setconfig) AS setting(text)
WHERE setting.text LIKE 'search\_path=%'
  AND (s.setdatabase = 0 OR d.datname = current_database())
ORDER BY s.setdatabase = 0, s.setrole <> 0, s.setrole
