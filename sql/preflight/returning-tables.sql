-- finding: returning-tables
-- steps: 9-11
-- ok: every archived table can come back
-- why: an archived table comes back with its rows, indexes and foreign keys as it was archived; where a name is taken, or a
--      table that it refers to is gone, that would fail in the middle of the step
-- do: rename what has taken the name; bring the table back that a foreign key refers to, or run the DELETE beside it, and
--      the archived table comes back without that foreign key

-- needs: callctl.definition
SELECT
    'blocks' AS level,
    format('%s %I.%I has a name that archived %s comes back with',
           CASE taken.relkind WHEN 'r' THEN 'table' WHEN 'i' THEN 'index' WHEN 'v' THEN 'view' WHEN 'S' THEN 'sequence' ELSE 'relation' END,
           here.nspname, taken.relname, c.oid::regclass) AS what,
    format('%I.%I', here.nspname, taken.relname) AS object,
    ARRAY[t.step] AS steps
FROM (VALUES (9, 'integration_accounts'), (10, 'calls'), (11, 'call_transcripts')) AS t(step, name)
JOIN pg_catalog.pg_class AS c ON c.relname = t.name
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = 'callctl'
CROSS JOIN LATERAL (
    SELECT c.relname
    UNION ALL
    SELECT i.relname FROM pg_catalog.pg_index AS x JOIN pg_catalog.pg_class AS i ON i.oid = x.indexrelid WHERE x.indrelid = c.oid
    UNION ALL
    SELECT s.relname FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_class AS s ON s.oid = d.objid AND s.relkind = 'S'
    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass
      AND d.refobjid = c.oid AND d.deptype IN ('a', 'i')
) AS moves(name)
JOIN pg_catalog.pg_namespace AS here ON here.oid = 'chatapp'::regnamespace
JOIN pg_catalog.pg_class AS taken ON taken.relname = moves.name AND taken.relnamespace = here.oid;

-- needs: callctl.definition
SELECT
    'blocks' AS level,
    format('type %I.%I has a name that archived %s comes back with', here.nspname, taken.typname, c.oid::regclass) AS what,
    format('%I.%I', here.nspname, taken.typname) AS object,
    ARRAY[t.step] AS steps
FROM (VALUES (9, 'integration_accounts'), (10, 'calls'), (11, 'call_transcripts')) AS t(step, name)
JOIN pg_catalog.pg_class AS c ON c.relname = t.name
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = 'callctl'
JOIN pg_catalog.pg_type AS own ON own.typrelid = c.oid
JOIN pg_catalog.pg_type AS moves ON moves.oid IN (own.oid, own.typarray)
JOIN pg_catalog.pg_namespace AS here ON here.oid = 'chatapp'::regnamespace
JOIN pg_catalog.pg_type AS taken ON taken.typname = moves.typname AND taken.typnamespace = here.oid AND taken.typrelid = 0;

-- A table or column that was dropped with CASCADE took the foreign key along, but not what is written down of it.
-- needs: callctl.definition
SELECT
    'blocks' AS level,
    format('foreign key %I of archived %s (%s) cannot be made again: what it refers to is gone. DELETE FROM callctl.definition WHERE step = %s AND kind = %L AND name = %L',
           d.name, c.oid::regclass, d.ddl, d.step, d.kind, d.name) AS what,
    format('%I on %s', d.name, c.oid::regclass) AS object,
    ARRAY[d.step] AS steps
FROM callctl.definition AS d
JOIN pg_catalog.pg_class AS c ON c.relname = d.relation
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = 'callctl'
CROSS JOIN LATERAL (SELECT regexp_match(d.ddl, 'FOREIGN KEY \((.*)\) REFERENCES ([^(]+)\(([^)]*)\)')) AS text(part)
WHERE d.kind = 'foreign key'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint AS k WHERE k.conrelid = c.oid AND k.conname = d.name)
  AND (to_regclass(part[2]) IS NULL
       OR NOT EXISTS (SELECT FROM pg_catalog.pg_constraint AS k WHERE k.conrelid = to_regclass(part[2]) AND k.contype IN ('p', 'u')
                      AND replace(pg_get_constraintdef(k.oid), ' ', '') LIKE '%(' || replace(part[3], ' ', '') || ')%')
       OR EXISTS (SELECT FROM unnest(string_to_array(replace(part[1], ' ', ''), ',')) AS own(name)
                  WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_attribute AS a
                                    WHERE a.attrelid = c.oid AND NOT a.attisdropped AND quote_ident(a.attname) = own.name)));

-- needs: callctl.definition
SELECT
    'blocks' AS level,
    format('archived %s belongs to %s, and role %s may not bring it back', c.oid::regclass, pg_get_userbyid(c.relowner), current_user) AS what,
    c.oid::regclass::text AS object,
    ARRAY[t.step] AS steps
FROM (VALUES (9, 'integration_accounts'), (10, 'calls'), (11, 'call_transcripts')) AS t(step, name)
JOIN pg_catalog.pg_class AS c ON c.relname = t.name
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = 'callctl'
WHERE NOT pg_has_role(c.relowner, 'USAGE');
