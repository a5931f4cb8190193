-- finding: publications
-- steps: 1-7, 9-13
-- direction: both
-- ok: none of the tables to be changed takes part in logical replication
-- why: logical replication carries rows and no DDL, so a subscriber stops at the first row with a column that it
--      does not have; and a published table without a replica identity refuses every UPDATE
-- do: run callctl migrate plan --sql, and with --down: it prints what each subscriber needs, before or after which step

SELECT
    'blocks' AS level,
    format('%s is in publication %s and has no replica identity, so the UPDATE of the step would fail',
           c.oid::regclass, p.pubname) AS what,
    c.oid::regclass::text AS object,
    t.steps,
    format('ALTER TABLE %s REPLICA IDENTITY FULL; or give it a primary key', c.oid::regclass) AS fix
FROM (VALUES
    ('chatbot_packages', ARRAY[4]),
    ('chatbots', ARRAY[4, 12]),
    ('companies', ARRAY[12])
) AS t(name, steps)
JOIN pg_catalog.pg_class AS c ON c.relname = t.name AND c.relnamespace = 'chatapp'::regnamespace
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_publication_tables AS b ON b.schemaname = n.nspname AND b.tablename = c.relname
JOIN pg_catalog.pg_publication AS p ON p.pubname = b.pubname AND p.pubupdate
WHERE c.relreplident = 'n'
   OR (c.relreplident = 'd' AND NOT EXISTS (
          SELECT 1 FROM pg_catalog.pg_index AS i WHERE i.indrelid = c.oid AND i.indisprimary));

-- With a row filter or a column list outside of the replica identity, the server refuses every UPDATE and every DELETE.
-- versions: 15-
SELECT DISTINCT
    'blocks' AS level,
    format('publication %s has a row filter or a column list of %s by which the server refuses UPDATE and DELETE', p.pubname, c.oid::regclass)
        AS what,
    c.oid::regclass::text AS object,
    format('ALTER PUBLICATION %I DROP TABLE %s; or publish it without row filter and column list', p.pubname, c.oid::regclass) AS fix
FROM pg_catalog.pg_publication_rel AS e
JOIN pg_catalog.pg_publication AS p ON p.oid = e.prpubid AND (p.pubupdate OR p.pubdelete)
JOIN pg_catalog.pg_class AS c ON c.oid = e.prrelid
CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(a.attnum), '{}') AS columns
    FROM pg_catalog.pg_attribute AS a
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      AND (c.relreplident = 'f' OR EXISTS (
          SELECT FROM pg_catalog.pg_index AS i
          WHERE i.indrelid = c.oid AND a.attnum = ANY (i.indkey::smallint[])
            AND CASE c.relreplident WHEN 'd' THEN i.indisprimary ELSE i.indisreplident END))
) AS identity
WHERE (c.relnamespace = to_regnamespace('callctl')
       OR c.relnamespace = 'chatapp'::regnamespace AND c.relname IN ('chatbot_packages', 'chatbots', 'companies', 'ai_models', 'users'))
  AND (EXISTS (SELECT FROM regexp_matches(e.prqual::text, ':varattno (\d+)', 'g') AS m (found)
               WHERE NOT m.found[1]::smallint = ANY (identity.columns))
       OR e.prattrs IS NOT NULL AND NOT identity.columns <@ e.prattrs::smallint[]);

SELECT
    'warns' AS level,
    format('%s is in publication %s; its subscribers need the change of step %s first', c.oid::regclass,
           string_agg(b.pubname::text, ', ' ORDER BY b.pubname), array_to_string(t.steps, ' and ')) AS what,
    c.oid::regclass::text AS object,
    t.steps
FROM (VALUES
    ('users', ARRAY[1]),
    ('chatbot_packages', ARRAY[2, 5]),
    ('chatbots', ARRAY[3, 6]),
    ('ai_models', ARRAY[7])
) AS t(name, steps)
JOIN pg_catalog.pg_class AS c ON c.relname = t.name AND c.relnamespace = 'chatapp'::regnamespace
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_publication_tables AS b ON b.schemaname = n.nspname AND b.tablename = c.relname
GROUP BY c.oid, t.steps;

SELECT
    'warns' AS level,
    format('publication %s is FOR ALL TABLES, so the new tables, and callctl''s own, are published as soon as they are made', p.pubname)
        AS what,
    p.pubname::text AS object
FROM pg_catalog.pg_publication AS p
WHERE p.puballtables;

-- versions: 15-
SELECT
    'warns' AS level,
    format('publication %s publishes the whole schema, so the new tables are published as soon as they are made', p.pubname)
        AS what,
    p.pubname::text AS object,
    ARRAY[9, 10, 11] AS steps
FROM pg_catalog.pg_publication_namespace AS s
JOIN pg_catalog.pg_publication AS p ON p.oid = s.pnpubid
WHERE s.pnnspid = 'chatapp'::regnamespace;

SELECT
    'warns' AS level,
    format('%s is filled by a subscription of this database, which keeps writing while the steps run', c.oid::regclass)
        AS what,
    c.oid::regclass::text AS object
FROM pg_catalog.pg_subscription_rel AS s
JOIN pg_catalog.pg_class AS c ON c.oid = s.srrelid
WHERE c.relnamespace = 'chatapp'::regnamespace
  AND c.relname IN ('users', 'chatbot_packages', 'chatbots', 'ai_models', 'companies');
