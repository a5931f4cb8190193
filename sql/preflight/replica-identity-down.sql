-- finding: replica-identity-down
-- steps: 2-3, 7
-- direction: down
-- ok: no table has a replica identity by an index with a column that migrate down removes
-- why: the server drops the index with the column; from then on a published table without a replica identity refuses
--      every UPDATE and DELETE; while the table is in no publication this is a warning
-- do: give the table another replica identity before migrate down

SELECT
    CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_publication_tables AS b JOIN pg_catalog.pg_publication AS p ON p.pubname = b.pubname
                      WHERE to_regclass(format('%I.%I', b.schemaname, b.tablename)) = c.oid AND (p.pubupdate OR p.pubdelete))
         THEN 'blocks' ELSE 'warns' END AS level,
    format('the replica identity of %s is index %s, which holds column %I and is dropped with it', c.oid::regclass, i.indexrelid::regclass,
           a.attname) AS what,
    i.indexrelid::regclass::text AS object,
    ARRAY[t.step] AS steps,
    format('ALTER TABLE %s REPLICA IDENTITY %s;', c.oid::regclass,
           CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_index AS k WHERE k.indrelid = c.oid AND k.indisprimary)
                THEN 'DEFAULT' ELSE 'FULL' END) AS fix
FROM (VALUES
    (2, 'chatbot_packages', 'enable_chat'),
    (2, 'chatbot_packages', 'enable_call'),
    (3, 'chatbots', 'enabled_chat'),
    (3, 'chatbots', 'enabled_call'),
    (7, 'ai_models', 'model_type')
) AS t(step, name, col)
JOIN pg_catalog.pg_class AS c ON c.relname = t.name AND c.relnamespace = 'chatapp'::regnamespace AND c.relreplident = 'i'
JOIN pg_catalog.pg_index AS i ON i.indrelid = c.oid AND i.indisreplident
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey) AND a.attname = t.col;
