-- finding: security-labels
-- steps: 5-6
-- ok: no security label is on the type column
-- why: a label is dropped with its column, and only its provider can restore it: callctl does not
-- do: save the named statement, and run it after migrate down

-- needs: chatapp.chatbot_packages.chatbotType
SELECT
    'warns' AS level,
    format('column %s.%I has a security label of %s, which is dropped with it', a.attrelid::regclass, a.attname, l.provider) AS what,
    format('%s.%I', a.attrelid::regclass, a.attname) AS object,
    ARRAY[5] AS steps,
    format('after migrate down: SECURITY LABEL FOR %I ON COLUMN %s.%I IS %L;', l.provider, a.attrelid::regclass, a.attname, l.label) AS fix
FROM pg_catalog.pg_seclabel AS l
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = l.objoid AND a.attnum = l.objsubid
WHERE l.classoid = 'pg_catalog.pg_class'::regclass
  AND a.attrelid = 'chatapp.chatbot_packages'::regclass
  AND a.attname = 'chatbottype'::name;

-- needs: chatapp.chatbots.chatbotType
SELECT
    'warns' AS level,
    format('column %s.%I has a security label of %s, which is dropped with it', a.attrelid::regclass, a.attname, l.provider) AS what,
    format('%s.%I', a.attrelid::regclass, a.attname) AS object,
    ARRAY[6] AS steps,
    format('after migrate down: SECURITY LABEL FOR %I ON COLUMN %s.%I IS %L;', l.provider, a.attrelid::regclass, a.attname, l.label) AS fix
FROM pg_catalog.pg_seclabel AS l
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = l.objoid AND a.attnum = l.objsubid
WHERE l.classoid = 'pg_catalog.pg_class'::regclass
  AND a.attrelid = 'chatapp.chatbots'::regclass
  AND a.attname = 'chatbottype'::name;
