-- The tables of this database with their sizes: what the forecast of a plan goes by. Catalog only; no row is read.
-- A table that was never analyzed has reltuples -1, or before PostgreSQL 14 no page counted. Of one that has grown or shrunk since,
-- the rows of a page are taken to be as many as then: as the planner does.
-- To ask for a size takes a lock: of a table that another session locks against reading, or waits to, the size is that of the statistics.
WITH locked AS (
  SELECT l.relation FROM pg_locks AS l
  WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
    AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())),
sized AS (
  SELECT c.*, current_setting('block_size')::bigint AS block,
         CASE WHEN c.relkind NOT IN ('r', 'm') THEN 0
              WHEN c.oid IN (SELECT relation FROM locked) THEN c.relpages::bigint
              ELSE pg_relation_size(c.oid) / current_setting('block_size')::integer END AS pages
  FROM pg_class AS c)
SELECT c.oid::bigint AS oid, n.nspname AS schema, c.relname AS name, c.relkind::text AS kind,
       CASE WHEN c.reltuples < 0 OR (c.reltuples = 0 AND c.relpages = 0 AND c.pages > 0) THEN NULL
            WHEN c.relpages > 0 AND c.relkind IN ('r', 'm') THEN (c.reltuples * c.pages / c.relpages)::bigint
            ELSE c.reltuples::bigint END AS rows,
       c.pages AS pages,
       CASE WHEN c.oid IN (SELECT relation FROM locked) THEN c.pages * c.block ELSE pg_table_size(c.oid) END AS bytes,
       CASE WHEN c.oid IN (SELECT relation FROM locked)
            THEN (SELECT sum(x.relpages) * c.block FROM pg_index AS i JOIN pg_class AS x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid)
            ELSE pg_indexes_size(c.oid) END::bigint AS index_bytes,
       c.relrowsecurity AS row_security, c.relhasrules AS ruled, has_table_privilege(c.oid, 'SELECT') AS readable,
       array(SELECT h.inhrelid::bigint FROM pg_inherits AS h WHERE h.inhparent = c.oid) AS children
FROM sized AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm', 'f', 'v') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
