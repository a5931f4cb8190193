-- The tables of this database with their sizes: what the forecast of a plan goes by. Catalog only; no row is read.
-- A table that was never analyzed has reltuples -1, or before PostgreSQL 14 no page counted. Of one that has grown or shrunk since,
-- the rows of a page are taken to be as many as then: as the planner does.
SELECT c.oid::bigint AS oid, n.nspname AS schema, c.relname AS name, c.relkind::text AS kind,
       CASE WHEN c.reltuples < 0 OR (c.reltuples = 0 AND c.relpages = 0 AND pg_relation_size(c.oid) > 0) THEN NULL
            WHEN c.relpages > 0 AND c.relkind IN ('r', 'm')
            THEN (c.reltuples * (pg_relation_size(c.oid) / current_setting('block_size')::integer) / c.relpages)::bigint
            ELSE c.reltuples::bigint END AS rows,
       CASE WHEN c.relkind IN ('r', 'm') THEN pg_relation_size(c.oid) / current_setting('block_size')::integer ELSE 0 END AS pages,
       pg_table_size(c.oid) AS bytes, pg_indexes_size(c.oid) AS index_bytes, c.relrowsecurity AS row_security, c.relhasrules AS ruled,
       has_table_privilege(c.oid, 'SELECT') AS readable,
       array(SELECT h.inhrelid::bigint FROM pg_inherits AS h WHERE h.inhparent = c.oid) AS children
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm', 'f', 'v') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
