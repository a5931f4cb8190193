-- Step 6, back: chatbots gets its type column again: type, default, NOT NULL, indexes, constraints, comments, grants.
-- Specification: L195-232, L3276-3283. Every row reads 'chat' at once; call bots and saved values are written after.

-- callctl: commit
DROP TRIGGER IF EXISTS check_chatbot_capabilities ON chatapp.chatbots;

DELETE FROM callctl.inheritance_breach;

DROP FUNCTION IF EXISTS chatapp.check_chatbot_capabilities();

-- callctl: generated
SELECT ddl FROM callctl.definition WHERE kind = 'type' ORDER BY step, ordinal;

UPDATE callctl.definition SET kind = 'kept type' WHERE kind = 'type';

-- callctl: generated
SELECT ddl FROM callctl.definition WHERE step = 6 AND kind IN ('column', 'default', 'setting') ORDER BY ordinal;

SELECT callctl.make_sync_function('chatapp.chatbots'::regclass, 'chatbottype'::name, 'enabled_chat'::name, 'enabled_call'::name);

DROP TRIGGER IF EXISTS callctl_sync_capabilities ON chatapp.chatbots;

CREATE TRIGGER callctl_sync_capabilities
  BEFORE INSERT OR UPDATE OF chatbotType, enabled_chat, enabled_call ON chatapp.chatbots
  FOR EACH ROW EXECUTE FUNCTION callctl.sync_chatbots();

-- callctl: batched
UPDATE chatapp.chatbots SET chatbotType = 'call'
WHERE enabled_call AND NOT enabled_chat AND chatbotType IS DISTINCT FROM 'call';

-- Saved types go back where the flags are still the ones that stood beside them.
-- callctl: batched
WITH kept AS (
  SELECT row_id, value, left_there FROM callctl.saved_value
  WHERE relation = 'chatbots' AND field = 'chatbot_type' AND saved_by = 'up' AND superseded_at IS NULL
  FOR NO KEY UPDATE
)
UPDATE chatapp.chatbots AS c SET chatbotType = r.chatbotType
FROM kept,
  (VALUES ('chatapp.chatbots'::regclass, 'chatbottype'::name)) AS type_column (relation, name),
  LATERAL jsonb_populate_record(NULL::chatapp.chatbots, jsonb_build_object(type_column.name, kept.value)) AS r
WHERE c.id = kept.row_id
  AND jsonb_build_object('chat', c.enabled_chat, 'call', c.enabled_call) = kept.left_there
  AND to_jsonb(c.chatbotType) IS DISTINCT FROM kept.value;

UPDATE callctl.saved_value AS s SET superseded_at = now()
WHERE s.relation = 'chatbots' AND s.field = 'chatbot_type' AND s.saved_by = 'up' AND s.superseded_at IS NULL
  AND NOT EXISTS (
    SELECT FROM chatapp.chatbots AS c WHERE c.id = s.row_id AND to_jsonb(c.chatbotType) IS NOT DISTINCT FROM s.value);

-- callctl: generated, no-transaction
SELECT ddl FROM callctl.definition WHERE step = 6 AND kind = 'index' ORDER BY ordinal;

-- callctl: generated
SELECT ddl FROM callctl.definition WHERE step = 6 AND kind = 'constraint' ORDER BY ordinal;

-- callctl: generated, no-transaction
SELECT ddl FROM callctl.definition WHERE step = 6 AND kind = 'validate' ORDER BY ordinal;

-- callctl: generated
SELECT ddl FROM callctl.definition
WHERE step = 6 AND kind IN ('after index', 'statistics', 'comment', 'grant') ORDER BY ordinal;
