-- Step 5 down, after: unknown types are restored if the flags are still those that were stored with them and no write of
-- either form was seen since; then everything else that the column had: indexes, constraints, statistics, comments, grants.

-- callctl: batched
WITH kept AS (
  SELECT s.row_id, s.value, s.left_there
  FROM callctl.saved_value AS s
  JOIN chatapp.chatbot_packages AS p ON p.id = s.chatbot_package_id
  WHERE s.field = 'chatbot_type' AND s.saved_by = 'up' AND s.superseded_at IS NULL
    AND jsonb_build_object('chat', p.enable_chat, 'call', p.enable_call) = s.left_there
    AND to_jsonb(p.chatbotType) IS DISTINCT FROM s.value
  FOR NO KEY UPDATE OF s
)
UPDATE chatapp.chatbot_packages AS p SET chatbotType = r.chatbotType
FROM kept,
  (VALUES ('chatapp.chatbot_packages'::regclass, 'chatbottype'::name)) AS type_column (relation, name),
  LATERAL jsonb_populate_record(NULL::chatapp.chatbot_packages, jsonb_build_object(type_column.name, kept.value)) AS r
WHERE p.id = kept.row_id
  AND jsonb_build_object('chat', p.enable_chat, 'call', p.enable_call) = kept.left_there;

UPDATE callctl.saved_value AS s SET superseded_at = now()
WHERE s.chatbot_package_id IS NOT NULL AND s.field = 'chatbot_type' AND s.saved_by = 'up' AND s.superseded_at IS NULL
  AND NOT EXISTS (
    SELECT FROM chatapp.chatbot_packages AS p
    WHERE p.id = s.chatbot_package_id AND to_jsonb(p.chatbotType) IS NOT DISTINCT FROM s.value);

-- callctl: generated, no-transaction
SELECT ddl FROM callctl.definition WHERE step = 5 AND kind = 'index' ORDER BY ordinal;

-- callctl: generated, commit
SELECT d.ddl FROM callctl.definition AS d
WHERE d.step = 5 AND d.kind = 'constraint'
  AND NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conrelid = 'chatapp.chatbot_packages'::regclass AND k.conname = d.name)
ORDER BY d.ordinal;

-- callctl: generated, no-transaction
SELECT ddl FROM callctl.definition WHERE step = 5 AND kind = 'validate' ORDER BY ordinal;

-- callctl: generated, commit
SELECT ddl FROM callctl.definition WHERE step = 5 AND kind = 'after index' ORDER BY ordinal;

-- callctl: generated
SELECT ddl FROM callctl.definition WHERE step = 5 AND kind IN ('statistics', 'comment', 'grant') ORDER BY ordinal;
