-- finding: archived-dependents
-- steps: 9-11
-- direction: down
-- ok: nothing outside callctl refers to the three tables that migrate down archives
-- why: the tables move to the schema callctl with their rows; a view or foreign key follows them there,
--      but code that names them in chatapp does not
-- do: drop the view or the foreign key before migrate down, if it should not use the archive

SELECT
    'warns' AS level,
    format('view %s reads %s, which moves to schema callctl', v.oid::regclass, c.oid::regclass) AS what,
    v.oid::regclass::text AS object,
    ARRAY[t.step] AS steps
FROM (VALUES (9, 'integration_accounts'), (10, 'calls'), (11, 'call_transcripts')) AS t(step, name)
JOIN pg_catalog.pg_class AS c ON c.relname = t.name AND c.relnamespace = 'chatapp'::regnamespace
JOIN pg_catalog.pg_depend AS d
    ON d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = c.oid
   AND d.classid = 'pg_catalog.pg_rewrite'::regclass
JOIN pg_catalog.pg_rewrite AS r ON r.oid = d.objid AND r.ev_class <> c.oid
JOIN pg_catalog.pg_class AS v ON v.oid = r.ev_class
GROUP BY v.oid, c.oid, t.step;

SELECT
    'warns' AS level,
    format('foreign key %I of %s refers to %s, which moves to schema callctl', k.conname, k.conrelid::regclass,
           c.oid::regclass) AS what,
    format('%I on %s', k.conname, k.conrelid::regclass) AS object,
    ARRAY[t.step] AS steps
FROM (VALUES (9, 'integration_accounts'), (10, 'calls'), (11, 'call_transcripts')) AS t(step, name)
JOIN pg_catalog.pg_class AS c ON c.relname = t.name AND c.relnamespace = 'chatapp'::regnamespace
JOIN pg_catalog.pg_constraint AS k ON k.confrelid = c.oid AND k.contype = 'f'
JOIN pg_catalog.pg_class AS h ON h.oid = k.conrelid
WHERE h.relname NOT IN ('integration_accounts', 'calls', 'call_transcripts');
