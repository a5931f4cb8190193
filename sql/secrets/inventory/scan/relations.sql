-- Every relation outside of the system catalogs that stores rows, or shows rows of another server: what it is, whether this role
-- can read all of it (why_not says why not), and in which columns an envelope could be. One row a relation; partitions and children
-- by themselves. A plain view stores nothing, and shows what is in tables that have a row here: it has none, unless it shows
-- rows of another server. Temporary tables are of one session, and have none. Takes no lock on any of them.
-- %(schema)s: the platform's
WITH RECURSIVE far (oid) AS (  -- views of foreign tables and of dblink's functions; views of such views
  SELECT r.ev_class
  FROM pg_rewrite AS r
  JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
  WHERE (d.refclassid = 'pg_class'::regclass AND d.refobjid IN (SELECT oid FROM pg_class WHERE relkind = 'f'))
     OR (d.refclassid = 'pg_proc'::regclass AND d.refobjid IN (
           SELECT f.objid FROM pg_depend AS f JOIN pg_extension AS e ON e.oid = f.refobjid AND e.extname = 'dblink'
           WHERE f.classid = 'pg_proc'::regclass AND f.refclassid = 'pg_extension'::regclass AND f.deptype = 'e'))
  UNION
  SELECT r.ev_class
  FROM far
  JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = far.oid
  JOIN pg_rewrite AS r ON r.oid = d.objid
), relation AS (
  SELECT c.oid, n.nspname, c.relname, c.relkind, c.relpages,
    CASE
      WHEN c.relkind = 'f' THEN 'it is a foreign table: its rows are on another server'
      WHEN c.relkind = 'v' THEN 'it is a view of rows that are on another server'
      WHEN NOT has_schema_privilege(n.oid, 'USAGE') THEN format('role %%s has no USAGE on its schema', current_user)
      WHEN NOT has_table_privilege(c.oid, 'SELECT') THEN format('role %%s may not SELECT from it', current_user)
      WHEN row_security_active(c.oid) THEN format('row-level security may hide rows from role %%s', current_user)
      WHEN a.amname <> 'heap' THEN format('its access method is %%s, and callctl reads heap tables', a.amname)
    END AS why_not
  FROM pg_class AS c
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  LEFT JOIN pg_am AS a ON a.oid = c.relam
  WHERE (c.relkind IN ('r', 'f') OR (c.relkind = 'm' AND c.relispopulated)
         OR (c.relkind = 'v' AND c.oid IN (SELECT oid FROM far)))
    AND c.relpersistence <> 't'
    AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
), field AS (
  SELECT a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod
  FROM relation AS r
  JOIN pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
  WHERE r.why_not IS NULL
), inside (type, part) AS (  -- what a type is made of: of a domain its type, of an array its elements, of a row type its columns
  SELECT DISTINCT atttypid, atttypid FROM field
  UNION
  SELECT i.type, p.part
  FROM inside AS i
  JOIN pg_type AS t ON t.oid = i.part
  CROSS JOIN LATERAL (
    SELECT t.typbasetype WHERE t.typtype = 'd'
    UNION ALL SELECT t.typelem WHERE t.typtype = 'b' AND t.typelem <> 0 AND t.typlen = -1
    UNION ALL SELECT a.atttypid FROM pg_attribute AS a
              WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) AS p (part)
), held AS (
  SELECT i.type,
    -- No text of any length fits into these. Everything else is looked at as the text that PostgreSQL shows it as.
    bool_or(NOT (t.typtype IN ('d', 'c', 'e', 'p') OR (t.typtype = 'b' AND t.typelem <> 0 AND t.typlen = -1)
                 OR (t.typnamespace = 'pg_catalog'::regnamespace
                     AND (t.typcategory IN ('B', 'D', 'T', 'I', 'N', 'G', 'V')
                          OR t.typname IN ('uuid', 'pg_lsn', 'macaddr', 'macaddr8', 'xid', 'xid8', 'cid', 'tid',
                                           'int4range', 'int8range', 'numrange', 'tsrange', 'tstzrange', 'daterange'))))) AS text,
    bool_or(t.oid = 'bytea'::regtype) AS bytes,
    bool_and(t.oid = 'bytea'::regtype OR t.typtype = 'd' OR (t.typelem <> 0 AND t.typlen = -1)) AS only_bytes,
    bool_or(t.oid IN ('bit'::regtype, 'varbit'::regtype)) AS bits
  FROM inside AS i JOIN pg_type AS t ON t.oid = i.part
  GROUP BY i.type
), upward (oid, ancestor) AS (
  SELECT inhrelid, inhparent FROM pg_inherits
  UNION
  SELECT u.oid, i.inhparent FROM upward AS u JOIN pg_inherits AS i ON i.inhrelid = u.ancestor
)
SELECT r.oid, r.nspname, r.relname, r.why_not, pg_relation_filenode(r.oid), r.relpages, coalesce(k.keys, '{}'),
  ARRAY(SELECT p.relname::text FROM upward AS u JOIN pg_class AS p ON p.oid = u.ancestor
        WHERE u.oid = r.oid AND p.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s)),
  EXISTS (SELECT FROM field AS f WHERE f.attrelid = r.oid AND f.attname = 'account_type'),
  -- Of each column its name, its type, and how it is looked at: as json, as text, as another type's text, as bytes in hex, as both;
  -- or not, as bits.
  ARRAY(
    SELECT ARRAY[f.attname::text, f.atttypid::text,
                 CASE WHEN NOT h.text THEN 'bits' WHEN f.atttypid IN ('json'::regtype, 'jsonb'::regtype) THEN 'json'
                      WHEN t.typcategory = 'S' THEN 'text' WHEN h.only_bytes THEN 'bytes' WHEN h.bytes THEN 'mixed'
                      ELSE 'other' END]
    FROM field AS f JOIN held AS h ON h.type = f.atttypid JOIN pg_type AS t ON t.oid = f.atttypid
    WHERE f.attrelid = r.oid
      AND (h.text OR (h.bits AND NOT (f.atttypid = 'bit'::regtype AND f.atttypmod BETWEEN 1 AND 799)))  -- 800 bits: too short
    ORDER BY f.attnum)
FROM relation AS r
LEFT JOIN LATERAL (
  SELECT array_agg(o.attname::text ORDER BY o.attname) AS keys
  FROM pg_index AS i JOIN pg_attribute AS o ON o.attrelid = i.indrelid AND o.attnum = ANY (i.indkey)
  WHERE i.indrelid = r.oid AND i.indisprimary) AS k ON true
ORDER BY r.nspname <> %(schema)s, r.nspname, r.relname
