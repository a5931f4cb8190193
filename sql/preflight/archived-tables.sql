-- finding: archived-tables
-- steps: 9-11
-- ok: every archived table can return: its names are free, and its foreign keys refer to existing tables
-- why: the tables return from schema callctl with their rows, indexes and foreign keys; a used name, or a foreign key whose
--      other table is gone, stops the step
-- do: rename the object that has the name; restore the other table, or let the table return without that foreign key

-- The names of a table's indexes and sequences move with the table.
SELECT
    'blocks' AS level,
    format('%s %s has the name of %s, which step %s restores from the archive',
           CASE x.relkind WHEN 'r' THEN 'table' WHEN 'i' THEN 'index' WHEN 'v' THEN 'view' WHEN 'S' THEN 'sequence' ELSE 'relation' END,
           x.oid::regclass, m.oid::regclass, t.step) AS what,
    x.oid::regclass::text AS object,
    ARRAY[t.step] AS steps,
    format('ALTER %s %s RENAME TO %I;',
           CASE x.relkind WHEN 'i' THEN 'INDEX' WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE'
                ELSE 'TABLE' END,
           x.oid::regclass, left(x.relname, 58) || '_new') AS fix
FROM (VALUES (9, 'integration_accounts'), (10, 'calls'), (11, 'call_transcripts')) AS t(step, name)
JOIN pg_catalog.pg_class AS c ON c.relname = t.name AND c.relnamespace = to_regnamespace('callctl') AND c.relkind = 'r'
JOIN pg_catalog.pg_class AS m
    ON m.oid = c.oid
    OR m.oid IN (SELECT i.indexrelid FROM pg_catalog.pg_index AS i WHERE i.indrelid = c.oid)
    OR m.oid IN (SELECT d.objid FROM pg_catalog.pg_depend AS d
                 WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass
                   AND d.refobjid = c.oid AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i'))
JOIN pg_catalog.pg_class AS x ON x.relname = m.relname AND x.relnamespace = 'chatapp'::regnamespace
WHERE m.relkind IN ('r', 'i', 'S');

-- needs: callctl.definition
SELECT
    'blocks' AS level,
    format('table callctl.%I, which migrate down from step %s archived with its rows, is not there', f.name, f.step) AS what,
    format('callctl.%I', f.name) AS object,
    ARRAY[f.step] AS steps,
    coalesce(
        (SELECT format('ALTER TABLE %s SET SCHEMA callctl;', o.oid::regclass) FROM pg_catalog.pg_class AS o
         WHERE o.relname = f.name AND o.relkind = 'r' ORDER BY o.oid LIMIT 1),
        format('restore it from a backup (callctl restore restores into another database); or give up its rows: DELETE FROM'
               ' callctl.definition WHERE set_config(''callctl.writes'', ''on'', true) = ''on'' AND step = %s;', f.step)) AS fix
FROM callctl.definition AS f
WHERE f.kind = 'archived table' AND to_regclass(format('callctl.%I', f.name)) IS NULL;

-- migrate down recorded its foreign keys, and the step makes them again from that text.
-- needs: callctl.definition
SELECT
    'blocks' AS level,
    format('foreign key %I of %s refers to %s, which does not exist; step %s makes it again', q.name, q.archived, q.partner, q.step) AS what,
    format('%I on %s', q.name, q.archived) AS object,
    ARRAY[q.step] AS steps,
    format('DELETE FROM callctl.definition WHERE set_config(''callctl.writes'', ''on'', true) = ''on'' AND step = %s'
           ' AND kind = ''foreign key'' AND name = %L; lets the table return without it; or bring %s back', q.step, q.name, q.partner) AS fix
FROM (
    SELECT f.step, f.name, c.oid::regclass AS archived,
           CASE WHEN p.oid IS NULL THEN r.words[1] ELSE format('column %s.%s', r.words[1], k.name) END AS partner
    FROM callctl.definition AS f
    JOIN pg_catalog.pg_class AS c ON c.relname = f.relation AND c.relnamespace = to_regnamespace('callctl') AND c.relkind = 'r'
    CROSS JOIN LATERAL (SELECT regexp_match(f.ddl, 'REFERENCES ((?:"[^"]*"|[^"(])+)\(([^)]*)\)') AS words) AS r
    CROSS JOIN LATERAL regexp_split_to_table(r.words[2], ',\s*') AS k(name)
    LEFT JOIN pg_catalog.pg_class AS p ON p.oid = to_regclass(r.words[1])
    LEFT JOIN pg_catalog.pg_attribute AS a
        ON a.attrelid = p.oid AND quote_ident(a.attname) = k.name AND a.attnum > 0 AND NOT a.attisdropped
    WHERE f.kind = 'foreign key' AND f.step IN (9, 10, 11) AND a.attname IS NULL
) AS q;

-- While the foreign key did not exist, rows that it refers to could be deleted.
-- needs: callctl.definition
SELECT
    'blocks' AS level,
    format('foreign key %I of %s was recorded and is gone; step %s makes it again, and would stop at a row whose other row is gone', f.name,
           c.oid::regclass, f.step) AS what,
    format('%I on %s', f.name, c.oid::regclass) AS object,
    ARRAY[f.step] AS steps,
    format('ALTER TABLE %s ADD CONSTRAINT %I %s; it fails where a row has no partner, and names one; or let the table return without'
           ' it: DELETE FROM callctl.definition WHERE set_config(''callctl.writes'', ''on'', true) = ''on'' AND step = %s'
           ' AND kind = ''foreign key'' AND name = %L;', c.oid::regclass, f.name, f.ddl, f.step, f.name) AS fix
FROM callctl.definition AS f
JOIN pg_catalog.pg_class AS c ON c.relname = f.relation AND c.relnamespace = to_regnamespace('callctl') AND c.relkind = 'r'
WHERE f.kind = 'foreign key' AND f.step IN (9, 10, 11)
  AND to_regclass((regexp_match(f.ddl, 'REFERENCES ((?:"[^"]*"|[^"(])+)\('))[1]) IS NOT NULL
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint AS k WHERE k.conrelid = c.oid AND k.conname = f.name);

-- So does its type, and the type of its arrays.
SELECT
    'blocks' AS level,
    format('type %s has the name of a type of %s, which step %s restores from the archive', taken.oid::regtype, c.oid::regclass, t.step)
        AS what,
    taken.oid::regtype::text AS object,
    ARRAY[t.step] AS steps,
    format('ALTER TYPE %s RENAME TO %I;', taken.oid::regtype, left(taken.typname, 58) || '_new') AS fix
FROM (VALUES (9, 'integration_accounts'), (10, 'calls'), (11, 'call_transcripts')) AS t(step, name)
JOIN pg_catalog.pg_class AS c ON c.relname = t.name AND c.relnamespace = to_regnamespace('callctl') AND c.relkind = 'r'
JOIN pg_catalog.pg_type AS own ON own.typrelid = c.oid
JOIN pg_catalog.pg_type AS moves ON moves.oid IN (own.oid, own.typarray)
JOIN pg_catalog.pg_type AS taken
    ON taken.typname = moves.typname AND taken.typnamespace = 'chatapp'::regnamespace AND taken.typrelid = 0;

SELECT
    'blocks' AS level,
    format('archived %s belongs to %s, and role %s may not restore it', c.oid::regclass, pg_get_userbyid(c.relowner), current_user) AS what,
    c.oid::regclass::text AS object,
    ARRAY[t.step] AS steps,
    format('ALTER TABLE %s OWNER TO %I;', c.oid::regclass, current_user) AS fix
FROM (VALUES (9, 'integration_accounts'), (10, 'calls'), (11, 'call_transcripts')) AS t(step, name)
JOIN pg_catalog.pg_class AS c ON c.relname = t.name AND c.relnamespace = to_regnamespace('callctl') AND c.relkind = 'r'
WHERE NOT pg_has_role(c.relowner, 'USAGE');
