-- finding: prepared-statements
-- steps: 1-3, 5-7
-- direction: both
-- ok: no client is connected
-- why: a prepared statement that returns a changed column fails once in each connection with "cached plan must not
--      change result type"; so does one that returns all columns of a table; every ALTER TABLE causes it
-- do: let the application retry on SQLSTATE 0A000, or restart its instances right after the step

SELECT
    'warns' AS level,
    format('every connection of a client that prepares statements sees one error after the step; client sessions connected now: %s',
           count(*)) AS what
FROM pg_catalog.pg_stat_activity AS s
WHERE s.datname = current_database()
  AND s.pid <> pg_backend_pid()
  AND coalesce(s.backend_type, 'client backend') = 'client backend'
  AND coalesce(s.application_name, '') NOT LIKE 'callctl%';
