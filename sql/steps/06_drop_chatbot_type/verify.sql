-- Step 6: what is true once it is done.

-- check: chatbot-type-gone: chatbots has no type column in any spelling
SELECT a.attname
FROM pg_attribute AS a
WHERE a.attrelid = 'chatapp.chatbots'::regclass AND NOT a.attisdropped
  AND (lower(a.attname) IN ('chatbottype', 'chatbot_type') OR a.attname = 'chatbottype'::name);

-- check: chatbot-type-remembered: what the type column was is written down, so that it can come back
SELECT 'callctl.definition' AS missing
WHERE NOT EXISTS (SELECT FROM callctl.definition WHERE step = 6 AND kind = 'column');

-- check: type-enum-gone: the enum type of the dropped columns is gone, unless something else uses it
SELECT DISTINCT d.detail ->> 'type' AS type
FROM callctl.definition AS d
JOIN pg_type AS t ON t.oid = to_regtype(d.detail ->> 'type')
WHERE d.kind IN ('type', 'kept type')
  AND NOT EXISTS (
    SELECT FROM pg_depend AS u
    WHERE u.refclassid = 'pg_type'::regclass AND u.refobjid IN (t.oid, t.typarray) AND u.deptype <> 'i');

-- check: inheritance-rule: a trigger refuses what a chatbot's package does not allow
SELECT 'check_chatbot_capabilities' AS trigger
WHERE NOT EXISTS (
  SELECT FROM pg_trigger AS t
  JOIN pg_proc AS p ON p.oid = t.tgfoid
  WHERE t.tgrelid = 'chatapp.chatbots'::regclass AND t.tgname = 'check_chatbot_capabilities' AND t.tgenabled = 'O'
    AND p.proname = 'check_chatbot_capabilities');
