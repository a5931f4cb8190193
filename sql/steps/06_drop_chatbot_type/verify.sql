-- Step 6: the rules for the rows after the step; sql/contract has the catalog.
-- means: two columns say what a chatbot does, or a chatbot may do what its package does not allow
-- fix: drop the named object when nothing needs it, with the statement in the row if there is one; restore a recorded
--   definition from a backup of callctl.definition

-- check: chatbot-type-gone: chatbots has no type column in any spelling
SELECT a.attname, format('ALTER TABLE %s DROP COLUMN %I;', a.attrelid::regclass, a.attname) AS statement
FROM pg_attribute AS a
WHERE a.attrelid = 'chatapp.chatbots'::regclass AND NOT a.attisdropped
  AND (lower(a.attname) IN ('chatbottype', 'chatbot_type') OR a.attname = 'chatbottype'::name);

-- check: chatbot-type-remembered: callctl has recorded the definition of the type column, so that it can restore it
SELECT 'callctl.definition' AS missing
WHERE NOT EXISTS (SELECT FROM callctl.definition WHERE step = 6 AND kind = 'column');

-- check: type-enum-gone: the enum type of the dropped columns is gone, unless another object uses it
SELECT DISTINCT d.detail ->> 'type' AS type, format('DROP TYPE %s;', t.oid::regtype) AS statement
FROM callctl.definition AS d
JOIN pg_type AS t ON t.oid = to_regtype(d.detail ->> 'type')
WHERE d.kind IN ('type', 'kept type')
  AND NOT EXISTS (
    SELECT FROM pg_depend AS u
    WHERE u.refclassid = 'pg_type'::regclass AND u.refobjid IN (t.oid, t.typarray) AND u.deptype <> 'i');
