-- If the catalog differs from what is expected: a row a difference. callctl puts facts.sql in the place of the query 'fact', and
-- what is expected in the place of 'contract':
-- objects of this database, in its own names: {"check", "step", "relation", "kind", "name", "facts": {property: value} or null
-- where the object must be gone, "made": [kind, relation, name] where the facts count only if callctl made it, "always":
-- the facts that count in any case, "while": [schema, table, column] where it is expected only while that column is there}.
-- "whole" lists the tables that are the migration's own: anything else on them is "added". "own" lists callctl's own tables:
-- nothing else belongs on them, nor in their schema but "archived", the platform's tables that migrate down has put there, and
-- the functions that a step under way has made, which a trigger of callctl's runs. "relied" lists the platform's tables that the migration relies on: no other
-- trigger or rule may keep a row of theirs from being written.
WITH contract AS (
  SELECT '{}'::jsonb AS what
), wanted AS (
  SELECT o.*
  FROM contract
  CROSS JOIN LATERAL jsonb_to_recordset(what -> 'objects')
    AS o ("check" text, step integer, relation text, kind text, name text, facts jsonb, gone boolean, made jsonb, always jsonb, "while" jsonb)
  WHERE o."while" IS NULL OR EXISTS (
    SELECT FROM pg_catalog.pg_attribute AS a
    JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = o."while" ->> 0 AND c.relname = o."while" ->> 1 AND a.attname = o."while" ->> 2 AND NOT a.attisdropped)
), fact AS (
  SELECT NULL::text AS relation, NULL::text AS kind, NULL::text AS name, NULL::text AS property, NULL::text AS value
), made AS (
  SELECT kind, relation, name FROM callctl.made
), found AS (
  SELECT relation, kind, name, jsonb_object_agg(property, value) AS facts FROM fact GROUP BY relation, kind, name
), judged AS (
  SELECT w.*, f.facts AS found, f.relation IS NOT NULL AS there,
         w.made IS NULL OR EXISTS (
           SELECT FROM made AS m
           WHERE m.kind = w.made ->> 0 AND m.relation = w.made ->> 1 AND m.name = w.made ->> 2) AS whole
  FROM wanted AS w
  LEFT JOIN found AS f ON f.relation = w.relation AND f.kind = w.kind AND f.name = w.name
), addition AS (
  -- What the steps do not make: asked for when all of them are judged together.
  -- Row-level security is the platform's to switch on; a step does it where a neighbour has it.
  SELECT 'additions' AS "check", NULL::integer AS step, j.relation, j.kind, j.name, 'row-level security is on' AS problem, NULL AS property,
         NULL AS expected, NULL AS found, NULL::jsonb AS facts
  FROM judged AS j
  WHERE j.kind = 'table' AND j."check" <> 'store-tables' AND j.there AND NOT j.gone AND j.found ->> 'row security' = 'on'
    AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
      WHERE c.relname IN ('chatbots', 'companies') AND c.relrowsecurity AND format('%I.%s', n.nspname, j.name) = j.relation)
  UNION ALL
  SELECT CASE f.facts ->> 'writes' WHEN 'may be swallowed' THEN 'additions-swallow' ELSE 'additions' END, NULL, f.relation, f.kind, f.name,
         CASE f.facts ->> 'writes' WHEN 'may be swallowed' THEN 'may swallow writes' ELSE 'added' END, NULL, NULL,
         CASE f.facts ->> 'writes' WHEN 'may be swallowed' THEN f.facts ->> 'because' END, NULL
  FROM contract
  CROSS JOIN LATERAL jsonb_array_elements_text(what -> 'whole') AS t (relation)
  JOIN found AS f ON f.relation = t.relation AND f.kind <> 'foreign key'
  LEFT JOIN wanted AS w ON w.relation = f.relation AND w.kind = f.kind AND w.name = f.name
  WHERE w.name IS NULL
  UNION ALL
  SELECT CASE WHEN f.kind IN ('trigger', 'rule') THEN 'store-writes' ELSE 'store-additions' END, 0, f.relation, f.kind, f.name, 'added',
         NULL, NULL, NULL, f.facts
  FROM contract
  JOIN found AS f ON what -> 'own' <> '[]' AND CASE f.kind
    WHEN 'table' THEN f.relation LIKE 'callctl.%' AND NOT what -> 'archived' ? f.relation
    WHEN 'function' THEN f.relation = 'callctl' AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_trigger AS t
      WHERE t.tgfoid = to_regprocedure('callctl.' || f.name) AND t.tgname LIKE 'zzz\_callctl\_%')
    WHEN 'sequence' THEN true
    WHEN 'extension' THEN true
    WHEN 'index' THEN what -> 'own' ? f.relation AND NOT EXISTS (
      SELECT FROM found AS k WHERE k.kind = 'constraint' AND k.relation = f.relation AND k.name = f.name)
    ELSE what -> 'own' ? f.relation END
  LEFT JOIN wanted AS w ON w.relation = f.relation AND w.kind = f.kind AND w.name = f.name
  WHERE w.name IS NULL
  UNION ALL
  -- Many a platform turns a DELETE into an UPDATE of deleted_at: worth knowing, and no failure.
  SELECT CASE f.facts ->> 'events' WHEN 'delete' THEN 'deletes-kept' ELSE 'writes-kept' END, NULL, f.relation, f.kind, f.name,
         'may swallow writes', NULL, NULL, f.facts ->> 'because', NULL
  FROM contract
  CROSS JOIN LATERAL jsonb_array_elements_text(what -> 'relied') AS t (relation)
  JOIN found AS f ON f.relation = t.relation AND f.kind IN ('trigger', 'rule') AND f.facts ->> 'writes' = 'may be swallowed'
  LEFT JOIN wanted AS w ON w.relation = f.relation AND w.kind = f.kind AND w.name = f.name
  WHERE w.name IS NULL
  UNION ALL
  SELECT 'writes-unknown', NULL, f.relation, f.kind, f.name, 'not known whether it keeps the row', NULL, NULL, f.facts ->> 'because', NULL
  FROM contract
  CROSS JOIN LATERAL (SELECT jsonb_array_elements_text(what -> 'relied') UNION SELECT jsonb_array_elements_text(what -> 'whole')) AS t (relation)
  JOIN found AS f ON f.relation = t.relation AND f.kind = 'trigger' AND f.facts ->> 'writes' = 'not known'
), difference AS (
  SELECT "check", step, relation, kind, name, 'missing' AS problem, NULL AS property, NULL AS expected, NULL AS found, facts
  FROM judged WHERE NOT there AND NOT gone
  UNION ALL
  SELECT "check", step, relation, kind, name, 'not gone', NULL, NULL, NULL, NULL FROM judged WHERE there AND gone
  UNION ALL
  SELECT CASE WHEN j."check" = 'store-tables' AND e.property = 'inherits' THEN 'store-additions' ELSE j."check" END,
         j.step, j.relation, j.kind, j.name, 'differs', e.property, e.value, j.found ->> e.property, j.facts
  FROM judged AS j
  CROSS JOIN LATERAL jsonb_each_text(j.facts) AS e (property, value)
  WHERE j.there AND NOT j.gone AND (j.whole OR coalesce(j.always, '[]') ? e.property)
    AND e.value IS DISTINCT FROM j.found ->> e.property
    AND (e.property <> 'row security' OR j."check" = 'store-tables')
    AND (e.property <> 'writes' OR j.found ->> e.property <> 'not known')
  UNION ALL
  SELECT * FROM addition
)
SELECT "check", problem, concat_ws(' ', kind, CASE
         WHEN kind = 'table' THEN relation
         WHEN kind IN ('column', 'function', 'sequence') THEN relation || '.' || name
         WHEN kind = 'index' THEN substring(relation FROM '^(?:"(?:[^"]|"")*"|[^."]*)') || '.' || name
         WHEN kind IN ('schema', 'extension') THEN name
         WHEN kind = 'child table' THEN name || ' of ' || relation
         ELSE name || ' on ' || relation END) AS object,
       property, expected, found,
       -- The statement that makes it what it should be; NULL where there is no single one, or what it held is lost.
       CASE
         WHEN "check" IN ('store-writes', 'writes-kept', 'additions-swallow') THEN format('DROP %s %s ON %s', upper(kind), name, relation)
         WHEN kind = 'table' AND property = 'inherits' THEN
           format('ALTER TABLE %s %s', relation, (SELECT string_agg('NO INHERIT ' || p, ', ') FROM regexp_split_to_table(found, ', ') AS p))
         -- What may be one of callctl's own under another name is not dropped: it gets that name again, or nothing is said.
         WHEN "check" = 'store-additions' AND lost.own_name IS NOT NULL THEN format('ALTER TABLE %s RENAME %s %s TO %s', relation, upper(kind), name, lost.own_name)
         WHEN "check" = 'store-additions' AND kind IN ('table', 'column') AND EXISTS (
           SELECT FROM difference AS d
           WHERE d.kind = difference.kind
             AND (d.problem = 'missing' AND (d.kind = 'table' OR d.relation = difference.relation) OR d.property = 'is')) THEN NULL
         WHEN "check" = 'store-additions' THEN CASE kind
           -- A table may be an archived one under another name: it goes elsewhere, with its rows.
           WHEN 'table' THEN CASE
             WHEN facts ->> 'is' = 'a table' AND facts ->> 'inherits' = 'nothing' THEN format('ALTER TABLE %s SET SCHEMA public', relation)
             ELSE format('DROP %s %s', CASE facts ->> 'is' WHEN 'a view' THEN 'VIEW' WHEN 'a materialized view' THEN 'MATERIALIZED VIEW'
                                                           WHEN 'a foreign table' THEN 'FOREIGN TABLE' ELSE 'TABLE' END, relation) END
           WHEN 'function' THEN format('DROP ROUTINE %s.%s', relation, name)
           WHEN 'sequence' THEN format('DROP SEQUENCE %s.%s', relation, name)
           WHEN 'extension' THEN CASE facts ->> 'relocatable' WHEN 'yes' THEN format('ALTER EXTENSION %s SET SCHEMA public', name) END
           WHEN 'policy' THEN format('DROP POLICY %s ON %s', name, relation)
           WHEN 'child table' THEN format('ALTER TABLE %s NO INHERIT %s', name, relation)
           WHEN 'foreign key' THEN facts ->> 'drop'
           -- Its index, or a constraint, may be gone with a column that is dropped first.
           WHEN 'index' THEN format('DROP INDEX IF EXISTS %s.%s', substring(relation FROM '^(?:"(?:[^"]|"")*"|[^."]*)'), name)
           ELSE format('ALTER TABLE %s DROP %s IF EXISTS %s', relation, upper(kind), name) END
         WHEN "check" = 'store-tables' AND kind IN ('constraint', 'index', 'trigger') AND EXISTS (  -- it may speak of that column
           SELECT FROM difference AS d
           WHERE d.problem = 'missing' AND d.kind = 'column' AND d.relation = difference.relation) THEN NULL
         WHEN kind IN ('schema', 'table', 'function') AND property IN ('owner', 'owner may') THEN (
           SELECT format(CASE property WHEN 'owner' THEN 'ALTER %3$s %1$s OWNER TO %2$s' ELSE 'GRANT %4$s ON %3$s %1$s TO %2$s' END,
                         CASE difference.kind WHEN 'function' THEN difference.relation || '.' || difference.name ELSE difference.relation END,
                         s.facts ->> 'callctl''s owner', CASE difference.kind WHEN 'schema' THEN 'SCHEMA' WHEN 'table' THEN 'TABLE' ELSE 'ROUTINE' END,
                         substring(difference.found FROM '^not (.*)'))
           FROM found AS s WHERE s.kind = 'schema')
         WHEN kind = 'table' AND property = 'row security' THEN
           format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY', relation)
         WHEN kind = 'table' AND property = 'persistence' AND expected IN ('logged', 'unlogged') THEN
           format('ALTER TABLE %s SET %s', relation, upper(expected))
         WHEN kind = 'table' AND property = 'replica identity' AND expected = 'some' THEN format('ALTER TABLE %s REPLICA IDENTITY FULL', relation)
         WHEN problem = 'not gone' AND kind = 'trigger' THEN format('DROP TRIGGER %s ON %s', name, relation)
         WHEN problem = 'added' AND "check" = 'additions' THEN CASE
           WHEN kind = 'index' THEN format('DROP INDEX CONCURRENTLY IF EXISTS %s.%s', substring(relation FROM '^(?:"(?:[^"]|"")*"|[^."]*)'), name)
           WHEN kind IN ('column', 'constraint') THEN format('ALTER TABLE %s DROP %s %s', relation, upper(kind), name)
           WHEN kind IN ('trigger', 'rule', 'policy') THEN format('DROP %s %s ON %s', upper(kind), name, relation) END
         WHEN problem IN ('not gone', 'added', 'may swallow writes', 'not known whether it keeps the row', 'row-level security is on') THEN NULL
         WHEN kind = 'column' AND property = 'type' THEN format('ALTER TABLE %s ALTER COLUMN %s TYPE %s', relation, name, expected)
         WHEN kind = 'column' AND property = 'not null' THEN
           format('ALTER TABLE %s ALTER COLUMN %s %s NOT NULL', relation, name, CASE expected WHEN 'yes' THEN 'SET' ELSE 'DROP' END)
         WHEN kind = 'column' AND property = 'numbers' AND found IS NOT NULL THEN
           format('ALTER TABLE %s ALTER COLUMN %s SET %s', relation, name, regexp_replace(expected, ' (?=INC|MIN|MAX|NO)', ' SET ', 'g'))
         WHEN kind = 'column' AND property = 'generated' AND expected LIKE 'identity _' AND found = 'no' THEN
           format('ALTER TABLE %s ALTER COLUMN %s ADD GENERATED %s AS IDENTITY', relation, name,
                  CASE expected WHEN 'identity a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END)
         WHEN kind = 'column' AND property = 'default' THEN
           format('ALTER TABLE %s ALTER COLUMN %s %s', relation, name,
                  CASE expected WHEN 'none' THEN 'DROP DEFAULT' ELSE 'SET DEFAULT ' || expected END)
         WHEN kind = 'constraint' AND property = 'enforced' AND found <> 'no' THEN
           format('ALTER TABLE %s ENABLE TRIGGER ALL', substring(found FROM 'triggers of (.*) are off'))
         WHEN kind = 'constraint' AND EXISTS (  -- it has another name
           SELECT FROM difference AS d
           WHERE d."check" = 'store-additions' AND d.kind = difference.kind AND d.relation = difference.relation AND d.facts = difference.facts) THEN NULL
         -- First for new rows; then for those that are there, behind a lock that reads and writes pass.
         WHEN kind = 'constraint' AND problem = 'missing' AND facts ->> 'definition' ~ '^(CHECK|FOREIGN KEY) ' THEN
           format('ALTER TABLE %1$s ADD CONSTRAINT %2$s %3$s NOT VALID; ALTER TABLE %1$s VALIDATE CONSTRAINT %2$s',
                  relation, name, facts ->> 'definition')
         WHEN kind = 'constraint' THEN
           format('ALTER TABLE %s %sADD CONSTRAINT %s %s', relation,
                  CASE WHEN problem = 'differs' THEN format('DROP CONSTRAINT %s, ', name) ELSE '' END, name, facts ->> 'definition')
         WHEN kind = 'index' AND EXISTS (  -- it comes and goes with its constraint
           SELECT FROM wanted AS w
           WHERE w.kind = 'constraint' AND w.relation = difference.relation AND w.name = difference.name) THEN NULL
         WHEN kind = 'index' AND problem = 'missing' THEN regexp_replace(facts ->> 'definition', ' INDEX ', ' INDEX CONCURRENTLY ')
         WHEN kind = 'index' AND property = 'valid' THEN format('REINDEX INDEX CONCURRENTLY %s.%s', substring(relation FROM '^(?:"(?:[^"]|"")*"|[^."]*)'), name)
         WHEN kind = 'trigger' AND problem = 'missing' THEN concat(facts ->> 'definition',
           CASE facts ->> 'enabled' WHEN 'always' THEN format('; ALTER TABLE %s ENABLE ALWAYS TRIGGER %s', relation, name) END)
         WHEN kind = 'trigger' AND property = 'enabled' THEN
           format('ALTER TABLE %s ENABLE %sTRIGGER %s', relation, CASE expected WHEN 'always' THEN 'ALWAYS ' ELSE '' END, name)
       END AS fix,
       step
FROM difference
LEFT JOIN LATERAL (
  -- One of callctl's own that is missing, and has just the facts of this one.
  SELECT min(d.name) FILTER (WHERE d.problem = 'missing') AS own_name
  FROM difference AS d
  WHERE difference."check" = 'store-additions' AND d.problem IN ('missing', 'added') AND d.kind IN ('column', 'constraint')
    AND d.relation = difference.relation AND d.kind = difference.kind AND d.facts = difference.facts
  HAVING count(*) = 2) AS lost ON true
-- What has to be dropped first comes first.
ORDER BY "check", CASE "check" WHEN 'store-additions' THEN array_position(
           ARRAY['policy', 'foreign key', 'child table', 'constraint', 'index', 'a view', 'a materialized view', 'column', 'table', 'function'],
           CASE WHEN property = 'inherits' THEN 'child table' WHEN facts ->> 'is' LIKE '%view' THEN facts ->> 'is' ELSE kind END) END,
         relation, kind, name, problem, property
