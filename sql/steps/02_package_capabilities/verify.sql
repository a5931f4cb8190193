-- Step 2: what is true once it is done.

-- check: package-flags: chatbot_packages has enable_chat and enable_call, boolean, NOT NULL, defaults true and false
SELECT wanted.name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull, pg_get_expr(d.adbin, d.adrelid) AS default
FROM (VALUES ('chatapp.chatbot_packages'::regclass, 'enable_chat', 'true'),
             ('chatapp.chatbot_packages'::regclass, 'enable_call', 'false')) AS wanted (relation, name, expression)
LEFT JOIN pg_attribute AS a ON a.attrelid = wanted.relation AND a.attname = wanted.name AND NOT a.attisdropped
LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.atttypid IS DISTINCT FROM 'boolean'::regtype
   OR NOT a.attnotnull
   OR pg_get_expr(d.adbin, d.adrelid) IS DISTINCT FROM wanted.expression;

-- check: package-flags-in-step: while the type column exists, a trigger keeps it and the flags in step
SELECT a.attname
FROM pg_attribute AS a
WHERE a.attrelid = 'chatapp.chatbot_packages'::regclass AND a.attname = 'chatbottype'::name AND NOT a.attisdropped
  AND NOT EXISTS (
    SELECT FROM pg_trigger AS t
    WHERE t.tgrelid = a.attrelid AND t.tgname = 'callctl_sync_capabilities' AND t.tgenabled = 'O'
      AND t.tgfoid = to_regprocedure('callctl.sync_chatbot_packages()'));
