-- The names of what is set for this database, or for a role in it: a dump does not hold it. Not the values, which may be secret.
SELECT DISTINCT split_part(setting.text, '=', 1)
FROM pg_catalog.pg_db_role_setting AS s
JOIN pg_catalog.pg_database AS d ON d.oid = s.setdatabase
CROSS JOIN LATERAL unnest(s.setconfig) AS setting(text)
WHERE d.datname = current_database()
  AND setting.text NOT LIKE 'callctl.%'  -- the mark of a sandbox is the server's, not the data's
ORDER BY 1
