-- Step 5: what is true once it is done, beside what sql/contract says of the catalog.
-- means: two columns say what a package allows, and one of them is wrong from the next write on
-- mends: drop what is named here, with the statement beside it if there is one, once nothing needs it; what callctl had
--   written down comes back from a backup of callctl.definition

-- check: package-type-gone: chatbot_packages has no type column in any spelling
SELECT a.attname, format('ALTER TABLE %s DROP COLUMN %I;', a.attrelid::regclass, a.attname) AS statement
FROM pg_attribute AS a
WHERE a.attrelid = 'chatapp.chatbot_packages'::regclass AND NOT a.attisdropped
  AND (lower(a.attname) IN ('chatbottype', 'chatbot_type') OR a.attname = 'chatbottype'::name);

-- check: package-type-remembered: what the type column was is written down, so that it can come back
SELECT 'callctl.definition' AS missing
WHERE NOT EXISTS (SELECT FROM callctl.definition WHERE step = 5 AND kind = 'column');
