-- finding: replica-identity
-- steps: 5-6
-- ok: no table has a replica identity by an index with the type column
-- why: the server drops the index with the column; from then on a published table without a replica identity refuses
--      every UPDATE and DELETE; while the table is in no publication this is a warning
-- do: give the table another replica identity before the step

-- needs: chatapp.chatbots.chatbotType
SELECT
    CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_publication_tables AS b JOIN pg_catalog.pg_publication AS p ON p.pubname = b.pubname
                      WHERE to_regclass(format('%I.%I', b.schemaname, b.tablename)) = c.oid AND (p.pubupdate OR p.pubdelete))
         THEN 'blocks' ELSE 'warns' END AS level,
    format('the replica identity of %s is index %s, which holds column %I and is dropped with it', c.oid::regclass, i.indexrelid::regclass,
           a.attname) AS what,
    i.indexrelid::regclass::text AS object,
    ARRAY[6] AS steps,
    format('ALTER TABLE %s REPLICA IDENTITY %s;', c.oid::regclass,
           CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_index AS k WHERE k.indrelid = c.oid AND k.indisprimary)
                THEN 'DEFAULT' ELSE 'FULL' END) AS fix
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_index AS i ON i.indrelid = c.oid AND i.indisreplident
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
WHERE c.oid = 'chatapp.chatbots'::regclass AND c.relreplident = 'i' AND a.attname = 'chatbottype'::name;

-- needs: chatapp.chatbot_packages.chatbotType
SELECT
    CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_publication_tables AS b JOIN pg_catalog.pg_publication AS p ON p.pubname = b.pubname
                      WHERE to_regclass(format('%I.%I', b.schemaname, b.tablename)) = c.oid AND (p.pubupdate OR p.pubdelete))
         THEN 'blocks' ELSE 'warns' END AS level,
    format('the replica identity of %s is index %s, which holds column %I and is dropped with it', c.oid::regclass, i.indexrelid::regclass,
           a.attname) AS what,
    i.indexrelid::regclass::text AS object,
    ARRAY[5] AS steps,
    format('ALTER TABLE %s REPLICA IDENTITY %s;', c.oid::regclass,
           CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_index AS k WHERE k.indrelid = c.oid AND k.indisprimary)
                THEN 'DEFAULT' ELSE 'FULL' END) AS fix
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_index AS i ON i.indrelid = c.oid AND i.indisreplident
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
WHERE c.oid = 'chatapp.chatbot_packages'::regclass AND c.relreplident = 'i' AND a.attname = 'chatbottype'::name;
