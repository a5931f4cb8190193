-- parameters: none

-- How many connections this role can still open to this database, and what is in the way: the server, the role or the database.
SELECT s.setting::integer AS most,
       s.setting::integer - r.reserved - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::integer AS server,
       NULLIF(rolconnlimit, -1) - (SELECT count(*) FROM pg_stat_activity WHERE usename = current_user)::integer AS role,
       NULLIF(datconnlimit, -1) - (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database())::integer AS database
FROM pg_settings AS s, pg_roles, pg_database,
     (SELECT sum(setting::integer)::integer AS reserved FROM pg_settings
      WHERE name = 'reserved_connections' OR name = 'superuser_reserved_connections') AS r
WHERE s.name = 'max_connections' AND rolname = current_user AND datname = current_database()
