-- Step 6 down, after: unknown types are restored if the flags are still those that were stored with them and no write of
-- either form was seen since; then everything else that the column had: indexes, constraints, statistics, comments, grants.

-- Who broke the inheritance rule is recorded for as long as there is a rule; behind no lock, since they may be many.
DELETE FROM callctl.inheritance_breach;

-- callctl: batched
WITH kept AS (
  SELECT s.row_id, s.value, s.left_there
  FROM callctl.saved_value AS s
  JOIN chatapp.chatbots AS c ON c.id = s.chatbot_id
  WHERE s.field = 'chatbot_type' AND s.saved_by = 'up' AND s.superseded_at IS NULL
    AND jsonb_build_object('chat', c.enabled_chat, 'call', c.enabled_call) = s.left_there
    AND to_jsonb(c.chatbotType) IS DISTINCT FROM s.value
  FOR NO KEY UPDATE OF s
)
UPDATE chatapp.chatbots AS c SET chatbotType = r.chatbotType
FROM kept,
  (VALUES ('chatapp.chatbots'::regclass, 'chatbottype'::name)) AS type_column (relation, name),
  LATERAL jsonb_populate_record(NULL::chatapp.chatbots, jsonb_build_object(type_column.name, kept.value)) AS r
WHERE c.id = kept.row_id
  AND jsonb_build_object('chat', c.enabled_chat, 'call', c.enabled_call) = kept.left_there;

UPDATE callctl.saved_value AS s SET superseded_at = now()
WHERE s.chatbot_id IS NOT NULL AND s.field = 'chatbot_type' AND s.saved_by = 'up' AND s.superseded_at IS NULL
  AND NOT EXISTS (
    SELECT FROM chatapp.chatbots AS c
    WHERE c.id = s.chatbot_id AND to_jsonb(c.chatbotType) IS NOT DISTINCT FROM s.value);

-- callctl: generated, no-transaction
SELECT ddl FROM callctl.definition WHERE step = 6 AND kind = 'index' ORDER BY ordinal;

-- callctl: generated, commit
SELECT d.ddl FROM callctl.definition AS d
WHERE d.step = 6 AND d.kind = 'constraint'
  AND NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conrelid = 'chatapp.chatbots'::regclass AND k.conname = d.name)
ORDER BY d.ordinal;

-- callctl: generated, no-transaction
SELECT ddl FROM callctl.definition WHERE step = 6 AND kind = 'validate' ORDER BY ordinal;

-- callctl: generated, commit
SELECT ddl FROM callctl.definition WHERE step = 6 AND kind = 'after index' ORDER BY ordinal;

-- callctl: generated
SELECT ddl FROM callctl.definition WHERE step = 6 AND kind IN ('statistics', 'comment', 'grant') ORDER BY ordinal;
