-- steps: 1
-- fast: yes
-- means: sessions that start with this setting write rows that no trigger has checked, or cannot write at all
-- fix: do what the row says, as a superuser; let those sessions connect again; then run verify again, without --fast

-- Settings of the server, a database, a role, or a role in a database; a function with such a setting has it while it runs.
-- The server reads a role's settings when that role logs in: not at SET ROLE, and not for its members. So a role counts if it may
-- log in here, and may write the platform's tables or callctl's, also after SET ROLE. What it may do through a function with its
-- owner's rights is not checked. callctl sets callctl.writes only for its own transactions.
-- This session sees the source of the server's own setting unless the database or its role has another value; only
-- pg_read_all_settings sees the file. ALTER SYSTEM writes postgresql.auto.conf, and resets nothing else. Two SETs come
-- first, for a session that is read only itself: one for pasting line by line, one for sending all at once.
-- check: sessions-checked: no database, no function, and no role that may write here is set to session_replication_role = replica, or to callctl.writes = on
SELECT x.of,
       CASE x.name WHEN 'callctl.writes'
         THEN 'changes of callctl''s own tables by any hand, which are then counted as callctl''s'
         ELSE 'rows that no foreign key and no trigger has checked: orphans, capabilities without a package, types beside flags' END AS lets_in,
       x.statement
FROM (
  SELECT setting.name, setting.value,
         concat_ws(' in ', CASE WHEN s.setrole <> 0 THEN format('role %I', r.rolname)
                                WHEN s.setdatabase = 0 THEN 'every role' END, CASE WHEN s.setdatabase <> 0 THEN format('database %I', d.datname) END) AS of,
         concat(CASE WHEN current_setting('default_transaction_read_only') = 'on' THEN 'SET default_transaction_read_only = off; SET transaction_read_only = off; ' END,
                CASE WHEN s.setrole = 0 AND s.setdatabase = 0 THEN 'ALTER ROLE ALL'
                     WHEN s.setrole = 0 THEN format('ALTER DATABASE %I', d.datname)
                     WHEN s.setdatabase = 0 THEN format('ALTER ROLE %I', r.rolname)
                     ELSE format('ALTER ROLE %I IN DATABASE %I', r.rolname, d.datname) END, ' RESET ', setting.name, ';') AS statement
  FROM pg_db_role_setting AS s
  CROSS JOIN LATERAL (
    SELECT lower(split_part(line, '=', 1)) AS name, lower(split_part(line, '=', 2)) AS value FROM unnest(s.setconfig) AS u (line)) AS setting
  LEFT JOIN pg_roles AS r ON r.oid = s.setrole
  LEFT JOIN pg_database AS d ON d.oid = s.setdatabase
  WHERE (setting.name, setting.value) IN (('session_replication_role', 'replica'), ('callctl.writes', 'on'))
    AND (s.setdatabase = 0 OR d.datname = current_database())
    AND (s.setrole = 0 OR r.rolcanlogin AND has_database_privilege(s.setrole, current_database(), 'CONNECT') AND EXISTS (
      SELECT FROM pg_class AS c
      JOIN pg_roles AS w ON pg_has_role(s.setrole, w.oid, 'MEMBER') AND has_schema_privilege(w.oid, c.relnamespace, 'USAGE')
      WHERE c.relnamespace IN ('chatapp'::regnamespace, 'callctl'::regnamespace) AND c.relkind IN ('r', 'p', 'v', 'f')
        AND (has_table_privilege(w.oid, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE') OR has_any_column_privilege(w.oid, c.oid, 'INSERT, UPDATE'))))
  UNION ALL
  SELECT lower(split_part(u.line, '=', 1)), lower(split_part(u.line, '=', 2)), format('function %s', p.oid::regprocedure),
         concat(CASE WHEN current_setting('default_transaction_read_only') = 'on' THEN 'SET default_transaction_read_only = off; SET transaction_read_only = off; ' END,
                format('ALTER ROUTINE %s RESET %s;', p.oid::regprocedure, lower(split_part(u.line, '=', 1))))
  FROM pg_proc AS p
  CROSS JOIN LATERAL unnest(p.proconfig) AS u (line)
  UNION ALL
  SELECT lower(g.name), lower(g.setting), format('the server (%s)', g.source),
         CASE WHEN g.source = 'command line' THEN format('start the server without %s=%s on its command line (-c, or pg_ctl -o)', g.name, g.setting)
              WHEN g.source = 'environment variable' THEN format('start the server without %s in its environment', g.name)
              WHEN g.sourcefile ~ 'postgresql\.auto\.conf$' THEN format('ALTER SYSTEM RESET %s; SELECT pg_reload_conf();', g.name)
              WHEN g.sourcefile IS NOT NULL THEN format('remove line %s of %s, then SELECT pg_reload_conf();', g.sourceline, g.sourcefile)
              ELSE format('as a superuser: SELECT sourcefile, sourceline FROM pg_settings WHERE name = %L; remove that line, then SELECT pg_reload_conf();', g.name) END
  FROM pg_settings AS g WHERE g.source IN ('configuration file', 'command line', 'environment variable')
) AS x
WHERE (x.name, x.value) IN (('session_replication_role', 'replica'), ('callctl.writes', 'on'))
ORDER BY 1;

-- A role that may not write the platform's tables may be set to read only: a role for reports, for example. transaction_read_only
-- has no effect as such a setting: each transaction begins with default_transaction_read_only.
-- check: sessions-write: no database is set to read only by default, nor any role that logs in and may write the platform's tables
SELECT x.of, 'no write: the application''s inserts and updates fail, and calls are not recorded' AS keeps_out, x.statement
FROM (
  SELECT setting.name, setting.value,
         concat_ws(' in ', CASE WHEN s.setrole <> 0 THEN format('role %I', r.rolname)
                                WHEN s.setdatabase = 0 THEN 'every role' END, CASE WHEN s.setdatabase <> 0 THEN format('database %I', d.datname) END) AS of,
         concat('SET default_transaction_read_only = off; SET transaction_read_only = off; ',
                CASE WHEN s.setrole = 0 AND s.setdatabase = 0 THEN 'ALTER ROLE ALL'
                     WHEN s.setrole = 0 THEN format('ALTER DATABASE %I', d.datname)
                     WHEN s.setdatabase = 0 THEN format('ALTER ROLE %I', r.rolname)
                     ELSE format('ALTER ROLE %I IN DATABASE %I', r.rolname, d.datname) END, ' RESET ', setting.name, ';') AS statement
  FROM pg_db_role_setting AS s
  CROSS JOIN LATERAL (
    SELECT lower(split_part(line, '=', 1)) AS name, lower(split_part(line, '=', 2)) AS value FROM unnest(s.setconfig) AS u (line)) AS setting
  LEFT JOIN pg_roles AS r ON r.oid = s.setrole
  LEFT JOIN pg_database AS d ON d.oid = s.setdatabase
  WHERE (s.setdatabase = 0 OR d.datname = current_database())
    AND (s.setrole = 0 OR r.rolcanlogin AND has_database_privilege(s.setrole, current_database(), 'CONNECT') AND EXISTS (
      SELECT FROM pg_class AS c
      WHERE c.relnamespace = 'chatapp'::regnamespace AND c.relkind IN ('r', 'p')
        AND (has_table_privilege(s.setrole, c.oid, 'INSERT, UPDATE, DELETE') OR has_any_column_privilege(s.setrole, c.oid, 'INSERT, UPDATE'))))
  UNION ALL
  SELECT g.name, g.setting, format('the server (%s)', g.source),
         CASE WHEN g.source = 'command line' THEN format('start the server without %s=%s on its command line (-c, or pg_ctl -o)', g.name, g.setting)
              WHEN g.source = 'environment variable' THEN format('start the server without %s in its environment', g.name)
              WHEN g.sourcefile ~ 'postgresql\.auto\.conf$' THEN format('ALTER SYSTEM RESET %s; SELECT pg_reload_conf();', g.name)
              WHEN g.sourcefile IS NOT NULL THEN format('remove line %s of %s, then SELECT pg_reload_conf();', g.sourceline, g.sourcefile)
              ELSE format('as a superuser: SELECT sourcefile, sourceline FROM pg_settings WHERE name = %L; remove that line, then SELECT pg_reload_conf();', g.name) END
  FROM pg_settings AS g WHERE g.source IN ('configuration file', 'command line', 'environment variable')
) AS x
WHERE x.name = 'default_transaction_read_only' AND x.value NOT IN ('off', 'of', 'false', 'fals', 'fal', 'fa', 'f', 'no', 'n', '0')
ORDER BY 1;
