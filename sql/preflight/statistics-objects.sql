-- finding: statistics-objects
-- steps: 5-6
-- ok: there are no extended statistics on the type column
-- why: PostgreSQL drops them with the column without a notice, and plans that relied on them may change;
--      migrate down makes them again
-- do: CREATE STATISTICS on the capability flags if the plans need it

-- needs: chatapp.chatbot_packages.chatbotType
SELECT
    'warns' AS level,
    format('statistics object %I.%I is dropped with column %s.%I', n.nspname, e.stxname, a.attrelid::regclass, a.attname) AS what,
    format('%I.%I', n.nspname, e.stxname) AS object,
    ARRAY[5] AS steps
FROM pg_catalog.pg_statistic_ext AS e
JOIN pg_catalog.pg_namespace AS n ON n.oid = e.stxnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = e.stxrelid
JOIN pg_catalog.pg_depend AS d
    ON d.classid = 'pg_catalog.pg_statistic_ext'::regclass AND d.objid = e.oid AND d.refobjid = a.attrelid
   AND d.refobjsubid = a.attnum
WHERE a.attrelid = 'chatapp.chatbot_packages'::regclass AND a.attname = 'chatbottype'::name;

-- needs: chatapp.chatbots.chatbotType
SELECT
    'warns' AS level,
    format('statistics object %I.%I is dropped with column %s.%I', n.nspname, e.stxname, a.attrelid::regclass, a.attname) AS what,
    format('%I.%I', n.nspname, e.stxname) AS object,
    ARRAY[6] AS steps
FROM pg_catalog.pg_statistic_ext AS e
JOIN pg_catalog.pg_namespace AS n ON n.oid = e.stxnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = e.stxrelid
JOIN pg_catalog.pg_depend AS d
    ON d.classid = 'pg_catalog.pg_statistic_ext'::regclass AND d.objid = e.oid AND d.refobjid = a.attrelid
   AND d.refobjsubid = a.attnum
WHERE a.attrelid = 'chatapp.chatbots'::regclass AND a.attname = 'chatbottype'::name;
