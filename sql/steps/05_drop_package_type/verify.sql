-- Step 5: the rules for the rows after the step; sql/contract has the catalog.
-- means: two columns say what a package allows, and one of them is wrong from the next write on
-- fix: drop the named object when nothing needs it, with the statement in the row if there is one; restore a recorded
--   definition from a backup of callctl.definition

-- check: package-type-gone: chatbot_packages has no type column in any spelling
SELECT a.attname, format('ALTER TABLE %s DROP COLUMN %I;', a.attrelid::regclass, a.attname) AS statement
FROM pg_attribute AS a
WHERE a.attrelid = 'chatapp.chatbot_packages'::regclass AND NOT a.attisdropped
  AND (lower(a.attname) IN ('chatbottype', 'chatbot_type') OR a.attname = 'chatbottype'::name);

-- check: package-type-remembered: callctl has recorded the definition of the type column, so that it can restore it
SELECT 'callctl.definition' AS missing
WHERE NOT EXISTS (SELECT FROM callctl.definition WHERE step = 5 AND kind = 'column');
