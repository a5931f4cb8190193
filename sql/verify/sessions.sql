-- steps: 1
-- fast: yes
-- means: sessions that start with this setting write rows that nothing has checked, or cannot write at all
-- mends: run the statement beside it, then let those sessions connect again; verify once more, rows and all

-- Settings of a database, a role, or a role in a database. Of a role that may not connect here nothing is said. A function
-- with such a setting has it for as long as it runs. callctl sets callctl.writes for its own transactions, and never for good.
-- check: sessions-checked: no database, role or function is set to session_replication_role = replica, or to callctl.writes = on
SELECT x.of,
       CASE lower(split_part(x.line, '=', 1)) WHEN 'callctl.writes'
         THEN 'changes of callctl''s own tables by any hand, which are then counted as callctl''s'
         ELSE 'rows that no foreign key and no trigger has checked: orphans, capabilities without a package, types beside flags' END AS lets_in,
       concat(x.statement, ' RESET ', lower(split_part(x.line, '=', 1)), ';', x.behind) AS statement
FROM (
  SELECT s.setdatabase, s.setrole, setting.line,
         concat_ws(' in ', CASE WHEN s.setrole <> 0 THEN format('role %I', r.rolname)
                                WHEN s.setdatabase = 0 THEN 'every role' END, CASE WHEN s.setdatabase <> 0 THEN format('database %I', d.datname) END) AS of,
         CASE WHEN s.setrole = 0 AND s.setdatabase = 0 THEN 'ALTER ROLE ALL'
              WHEN s.setrole = 0 THEN format('ALTER DATABASE %I', d.datname)
              WHEN s.setdatabase = 0 THEN format('ALTER ROLE %I', r.rolname)
              ELSE format('ALTER ROLE %I IN DATABASE %I', r.rolname, d.datname) END AS statement, '' AS behind
  FROM pg_db_role_setting AS s
  CROSS JOIN LATERAL unnest(s.setconfig) AS setting (line)
  LEFT JOIN pg_roles AS r ON r.oid = s.setrole
  LEFT JOIN pg_database AS d ON d.oid = s.setdatabase
  WHERE (s.setdatabase = 0 OR d.datname = current_database())
    AND (s.setrole = 0 OR has_database_privilege(s.setrole, current_database(), 'CONNECT'))
  UNION ALL
  SELECT 0, 0, setting.line, format('function %s', p.oid::regprocedure),
         format('ALTER ROUTINE %s', p.oid::regprocedure), ''
  FROM pg_proc AS p
  CROSS JOIN LATERAL unnest(p.proconfig) AS setting (line)
  UNION ALL
  SELECT 0, 0, format('%s=%s', g.name, g.setting), format('the server (%s)', g.source),
         'ALTER SYSTEM', ' SELECT pg_reload_conf();'
  FROM pg_settings AS g WHERE g.source IN ('configuration file', 'command line', 'environment variable')
) AS x
WHERE (lower(split_part(x.line, '=', 1)), lower(split_part(x.line, '=', 2)))
      IN (('session_replication_role', 'replica'), ('callctl.writes', 'on'))
ORDER BY 1;

-- A role that may not write the platform's tables may well be set to read only: a report's, for example.
-- check: sessions-write: no database is set to read only by default, nor any role that may write the platform's tables
SELECT x.of, 'no write: the application''s inserts and updates fail, and calls are not recorded' AS keeps_out, x.statement
FROM (
  SELECT s.setdatabase, s.setrole, setting.line,
         concat_ws(' in ', CASE WHEN s.setrole <> 0 THEN format('role %I', r.rolname)
                                WHEN s.setdatabase = 0 THEN 'every role' END, CASE WHEN s.setdatabase <> 0 THEN format('database %I', d.datname) END) AS of,
         CASE WHEN s.setrole = 0 AND s.setdatabase = 0 THEN format('ALTER ROLE ALL RESET %I;', split_part(setting.line, '=', 1))
              WHEN s.setrole = 0 THEN format('ALTER DATABASE %I RESET %I;', d.datname, split_part(setting.line, '=', 1))
              WHEN s.setdatabase = 0 THEN format('ALTER ROLE %I RESET %I;', r.rolname, split_part(setting.line, '=', 1))
              ELSE format('ALTER ROLE %I IN DATABASE %I RESET %I;', r.rolname, d.datname, split_part(setting.line, '=', 1)) END AS statement
  FROM pg_db_role_setting AS s
  CROSS JOIN LATERAL unnest(s.setconfig) AS setting (line)
  LEFT JOIN pg_roles AS r ON r.oid = s.setrole
  LEFT JOIN pg_database AS d ON d.oid = s.setdatabase
  WHERE (s.setdatabase = 0 OR d.datname = current_database())
    AND (s.setrole = 0 OR has_database_privilege(s.setrole, current_database(), 'CONNECT') AND EXISTS (
      SELECT FROM pg_class AS c
      WHERE c.relnamespace = 'chatapp'::regnamespace AND c.relkind IN ('r', 'p')
        AND has_table_privilege(s.setrole, c.oid, 'INSERT, UPDATE, DELETE')))
  UNION ALL
  SELECT 0, 0, format('%s=%s', g.name, g.setting), format('the server (%s)', g.source),
         format('ALTER SYSTEM RESET %I; SELECT pg_reload_conf();', g.name)
  FROM pg_settings AS g WHERE g.source IN ('configuration file', 'command line', 'environment variable')
) AS x
WHERE lower(split_part(x.line, '=', 1)) IN ('default_transaction_read_only', 'transaction_read_only')
  AND lower(split_part(x.line, '=', 2)) NOT IN ('off', 'of', 'false', 'fals', 'fal', 'fa', 'f', 'no', 'n', '0')
ORDER BY 1;
