-- finding: restored-objects
-- steps: 5-6, 9-11
-- direction: down
-- begun: skip
-- ok: nothing stands where going down puts something back
-- why: going down makes the type column again and moves three tables into the schema callctl; it stops
--      where the name is taken
-- do: rename the column or table that has taken the name

-- needs: callctl.definition
SELECT
    'blocks' AS level,
    format('column %s.%I is there already, and going down from step %s makes it', c.oid::regclass, a.attname, f.step) AS what,
    format('%s.%I', c.oid::regclass, a.attname) AS object,
    ARRAY[f.step] AS steps,
    format('ALTER TABLE %s RENAME COLUMN %I TO %I;', c.oid::regclass, a.attname, left(a.attname, 58) || '_new') AS fix
FROM callctl.definition AS f
JOIN pg_catalog.pg_class AS c ON c.relname = f.relation AND c.relnamespace = 'chatapp'::regnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attname = f.name AND NOT a.attisdropped
WHERE f.kind = 'column' AND f.step IN (5, 6);

SELECT
    'blocks' AS level,
    format('an archived table %s is there already, and going down from step %s would make it', c.oid::regclass, t.step) AS what,
    c.oid::regclass::text AS object,
    ARRAY[t.step] AS steps,
    format('ALTER TABLE %s RENAME TO %I;', c.oid::regclass, t.name || '_old') AS fix
FROM (VALUES (9, 'integration_accounts'), (10, 'calls'), (11, 'call_transcripts')) AS t(step, name)
JOIN pg_catalog.pg_class AS c ON c.relname = t.name
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = 'callctl';
