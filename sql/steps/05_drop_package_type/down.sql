-- Step 5, back: chatbot_packages gets its type column again: type, default, NOT NULL, indexes, constraints, comments, grants.
-- Specification: L195-232, L3276-3283. Every row reads 'chat' at once; call bots and saved values are written after.

-- callctl: generated
SELECT ddl FROM callctl.definition WHERE step = 5 AND kind IN ('column', 'default', 'setting') ORDER BY ordinal;

SELECT callctl.make_sync_function('chatapp.chatbot_packages'::regclass, 'chatbottype'::name, 'enable_chat'::name, 'enable_call'::name);

DROP TRIGGER IF EXISTS callctl_sync_capabilities ON chatapp.chatbot_packages;

CREATE TRIGGER callctl_sync_capabilities
  BEFORE INSERT OR UPDATE OF chatbotType, enable_chat, enable_call ON chatapp.chatbot_packages
  FOR EACH ROW EXECUTE FUNCTION callctl.sync_chatbot_packages();

-- callctl: batched
UPDATE chatapp.chatbot_packages SET chatbotType = 'call'
WHERE enable_call AND NOT enable_chat AND chatbotType IS DISTINCT FROM 'call';

-- Saved types go back where the flags are still the ones that stood beside them.
-- callctl: batched
WITH kept AS (
  SELECT row_id, value, left_there FROM callctl.saved_value
  WHERE relation = 'chatbot_packages' AND field = 'chatbot_type' AND saved_by = 'up' AND superseded_at IS NULL
  FOR NO KEY UPDATE
)
UPDATE chatapp.chatbot_packages AS c SET chatbotType = r.chatbotType
FROM kept,
  (VALUES ('chatapp.chatbot_packages'::regclass, 'chatbottype'::name)) AS type_column (relation, name),
  LATERAL jsonb_populate_record(NULL::chatapp.chatbot_packages, jsonb_build_object(type_column.name, kept.value)) AS r
WHERE c.id = kept.row_id
  AND jsonb_build_object('chat', c.enable_chat, 'call', c.enable_call) = kept.left_there
  AND to_jsonb(c.chatbotType) IS DISTINCT FROM kept.value;

UPDATE callctl.saved_value AS s SET superseded_at = now()
WHERE s.relation = 'chatbot_packages' AND s.field = 'chatbot_type' AND s.saved_by = 'up' AND s.superseded_at IS NULL
  AND NOT EXISTS (
    SELECT FROM chatapp.chatbot_packages AS c WHERE c.id = s.row_id AND to_jsonb(c.chatbotType) IS NOT DISTINCT FROM s.value);

-- callctl: generated, no-transaction
SELECT ddl FROM callctl.definition WHERE step = 5 AND kind = 'index' ORDER BY ordinal;

-- callctl: generated
SELECT ddl FROM callctl.definition WHERE step = 5 AND kind = 'constraint' ORDER BY ordinal;

-- callctl: generated, no-transaction
SELECT ddl FROM callctl.definition WHERE step = 5 AND kind = 'validate' ORDER BY ordinal;

-- callctl: generated
SELECT ddl FROM callctl.definition
WHERE step = 5 AND kind IN ('after index', 'statistics', 'comment', 'grant') ORDER BY ordinal;
