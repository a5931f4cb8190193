-- finding: restored-objects
-- steps: 5-6, 9-11
-- direction: down
-- begun: skip
-- ok: no object has a name that migrate down needs
-- why: migrate down makes the type columns again with everything that depended on them, and moves three tables into the schema callctl;
--      at a used name it stops part-way, or takes the present object for the earlier one
-- do: rename the object that has the name

-- needs: callctl.definition
SELECT
    'blocks' AS level,
    format('column %s.%I exists already, and migrate down from step %s makes it', c.oid::regclass, a.attname, f.step) AS what,
    format('%s.%I', c.oid::regclass, a.attname) AS object,
    ARRAY[f.step] AS steps,
    format('ALTER TABLE %s RENAME COLUMN %I TO %I;', c.oid::regclass, a.attname, left(a.attname, 58) || '_new') AS fix
FROM callctl.definition AS f
JOIN pg_catalog.pg_class AS c ON c.relname = f.relation AND c.relnamespace = 'chatapp'::regnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attname = f.name AND NOT a.attisdropped
WHERE f.kind = 'column' AND f.step IN (5, 6);

-- needs: callctl.definition
SELECT
    'blocks' AS level,
    format('%s has the name of an index that migrate down from step %s builds again', c.oid::regclass, f.step) AS what,
    c.oid::regclass::text AS object,
    ARRAY[f.step] AS steps,
    format('ALTER %s %s RENAME TO %I;',
           CASE c.relkind WHEN 'i' THEN 'INDEX' WHEN 'I' THEN 'INDEX' WHEN 'S' THEN 'SEQUENCE' WHEN 'v' THEN 'VIEW'
                          WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END,
           c.oid::regclass, left(c.relname, 58) || '_new') AS fix
FROM callctl.definition AS f
JOIN pg_catalog.pg_class AS c ON c.relname = f.name AND c.relnamespace = 'chatapp'::regnamespace
WHERE f.kind = 'index' AND f.step IN (5, 6);

-- needs: callctl.definition
SELECT
    'blocks' AS level,
    format('constraint %I of %s has the name of one that migrate down from step %s adds again', k.conname, c.oid::regclass, f.step) AS what,
    format('%I on %s', k.conname, c.oid::regclass) AS object,
    ARRAY[f.step] AS steps,
    format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I;', c.oid::regclass, k.conname, left(k.conname, 58) || '_new') AS fix
FROM callctl.definition AS f
JOIN pg_catalog.pg_class AS c ON c.relname = f.relation AND c.relnamespace = 'chatapp'::regnamespace
JOIN pg_catalog.pg_constraint AS k ON k.conrelid = c.oid AND k.conname = f.name
WHERE f.kind = 'constraint' AND f.step IN (5, 6);

-- needs: callctl.definition
SELECT DISTINCT
    'blocks' AS level,
    format('a type %s exists already, and migrate down from step %s makes it', f.detail ->> 'type', f.step) AS what,
    f.detail ->> 'type' AS object,
    ARRAY[f.step] AS steps,
    format('ALTER %s %s RENAME TO %I;', CASE WHEN t.typrelid = 0 THEN 'TYPE' ELSE (
               SELECT CASE c.relkind WHEN 'c' THEN 'TYPE' WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'f' THEN 'FOREIGN TABLE'
                                     ELSE 'TABLE' END
               FROM pg_catalog.pg_class AS c WHERE c.oid = t.typrelid) END, f.detail ->> 'type', left(t.typname, 58) || '_new') AS fix
FROM callctl.definition AS f
JOIN pg_catalog.pg_type AS t ON t.oid = to_regtype(f.detail ->> 'type')
WHERE f.kind = 'type' AND f.step IN (5, 6);

SELECT
    'blocks' AS level,
    format('an archived table %s exists already, and migrate down from step %s would make it', c.oid::regclass, t.step) AS what,
    c.oid::regclass::text AS object,
    ARRAY[t.step] AS steps,
    format('ALTER TABLE %s RENAME TO %I;', c.oid::regclass, t.name || '_old') AS fix
FROM (VALUES (9, 'integration_accounts'), (10, 'calls'), (11, 'call_transcripts')) AS t(step, name)
JOIN pg_catalog.pg_class AS c ON c.relname = t.name
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = 'callctl';

-- The names of a table's indexes, its sequences and its type move with the table.
SELECT
    'blocks' AS level,
    format('%s exists already, and migrate down from step %s moves %s, with %s, into schema callctl', x.oid::regclass, t.step, c.oid::regclass,
           m.relname) AS what,
    x.oid::regclass::text AS object,
    ARRAY[t.step] AS steps,
    -- callctl's own keep their names.
    format('ALTER %s %s RENAME TO %I;', CASE m.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'INDEX' END, m.oid::regclass, left(m.relname, 55) || '_moved')
        AS fix
FROM (VALUES (9, 'integration_accounts'), (10, 'calls'), (11, 'call_transcripts')) AS t(step, name)
JOIN pg_catalog.pg_class AS c ON c.relname = t.name AND c.relnamespace = 'chatapp'::regnamespace AND c.relkind = 'r'
JOIN pg_catalog.pg_class AS m
    ON m.oid IN (SELECT i.indexrelid FROM pg_catalog.pg_index AS i WHERE i.indrelid = c.oid)
    OR m.oid IN (SELECT d.objid FROM pg_catalog.pg_depend AS d
                 WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass
                   AND d.refobjid = c.oid AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i'))
JOIN pg_catalog.pg_class AS x ON x.relname = m.relname AND x.relnamespace = to_regnamespace('callctl')
WHERE m.relkind IN ('i', 'S');

SELECT
    'blocks' AS level,
    format('a type %s exists already, and migrate down from step %s moves %s, with its type %I, into schema callctl', taken.oid::regtype, t.step,
           c.oid::regclass, moves.typname) AS what,
    taken.oid::regtype::text AS object,
    ARRAY[t.step] AS steps,
    format('ALTER %s %s RENAME TO %I;', CASE taken.typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END, taken.oid::regtype,
           left(taken.typname, 58) || '_new') AS fix
FROM (VALUES (9, 'integration_accounts'), (10, 'calls'), (11, 'call_transcripts')) AS t(step, name)
JOIN pg_catalog.pg_class AS c ON c.relname = t.name AND c.relnamespace = 'chatapp'::regnamespace AND c.relkind = 'r'
JOIN pg_catalog.pg_type AS own ON own.typrelid = c.oid
JOIN pg_catalog.pg_type AS moves ON moves.oid IN (own.oid, own.typarray)
JOIN pg_catalog.pg_type AS taken
    ON taken.typname = moves.typname AND taken.typnamespace = to_regnamespace('callctl')
LEFT JOIN pg_catalog.pg_class AS behind ON behind.oid = taken.typrelid
-- The type of a relation has the relation's name; that of an array is renamed by the server.
WHERE taken.typelem = 0 AND (taken.typrelid = 0 OR behind.relkind = 'c');
