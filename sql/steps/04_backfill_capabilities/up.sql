-- Step 4: the flags of every row, soft-deleted ones too, say what its type says; then the CHECKs and the indexes.
-- Specification: L104-131 for the mapping, L291-349 for the rest. The unconditional true/false of L337-348 is not run:
-- it turns every call bot into a chat bot. Only rows whose flags contradict their type are written.

-- callctl: batched
UPDATE chatapp.chatbot_packages
SET
  enable_chat = CASE
    WHEN chatbotType = 'chat' THEN true
    WHEN chatbotType = 'call' THEN false
    ELSE true
  END,
  enable_call = CASE
    WHEN chatbotType = 'call' THEN true
    WHEN chatbotType = 'chat' THEN false
    ELSE false
  END
WHERE COALESCE(chatbotType = 'call', false) <> (enable_call AND NOT enable_chat);

-- Step 12 writes about 600 bytes of call settings into most of these rows again: with room left on their page, that needs no
-- new entry in any index (heap-only tuples). Blocks nobody; the table's own fillfactor is back right after.
-- callctl: no-transaction
SELECT callctl.leave_room(4, 'chatapp.chatbots'::regclass, 600);

-- callctl: batched
UPDATE chatapp.chatbots
SET
  enabled_chat = CASE
    WHEN chatbotType = 'chat' THEN true
    WHEN chatbotType = 'call' THEN false
    ELSE true
  END,
  enabled_call = CASE
    WHEN chatbotType = 'call' THEN true
    WHEN chatbotType = 'chat' THEN false
    ELSE false
  END
WHERE COALESCE(chatbotType = 'call', false) <> (enabled_call AND NOT enabled_chat);

-- callctl: no-transaction
SELECT callctl.leave_no_more_room(4);

-- Flags that an earlier down took away come back, where the type is still the one it left.
-- callctl: batched
WITH kept AS (
  SELECT row_id, value, left_there FROM callctl.saved_value
  WHERE relation = 'chatbot_packages' AND field = 'capabilities' AND saved_by = 'down' AND superseded_at IS NULL
  FOR NO KEY UPDATE
)
UPDATE chatapp.chatbot_packages AS p
SET enable_chat = (kept.value ->> 'chat')::boolean, enable_call = (kept.value ->> 'call')::boolean
FROM kept
WHERE p.id = kept.row_id AND to_jsonb(p.chatbotType) IS NOT DISTINCT FROM kept.left_there
  AND jsonb_build_object('chat', p.enable_chat, 'call', p.enable_call) <> kept.value;

-- callctl: batched
WITH kept AS (
  SELECT row_id, value, left_there FROM callctl.saved_value
  WHERE relation = 'chatbots' AND field = 'capabilities' AND saved_by = 'down' AND superseded_at IS NULL
  FOR NO KEY UPDATE
)
UPDATE chatapp.chatbots AS c
SET enabled_chat = (kept.value ->> 'chat')::boolean, enabled_call = (kept.value ->> 'call')::boolean
FROM kept
WHERE c.id = kept.row_id AND to_jsonb(c.chatbotType) IS NOT DISTINCT FROM kept.left_there
  AND jsonb_build_object('chat', c.enabled_chat, 'call', c.enabled_call) <> kept.value;

UPDATE callctl.saved_value AS s SET superseded_at = now()
WHERE s.relation = 'chatbot_packages' AND s.field = 'capabilities' AND s.saved_by = 'down' AND s.superseded_at IS NULL
  AND NOT EXISTS (
    SELECT FROM chatapp.chatbot_packages AS p
    WHERE p.id = s.row_id AND jsonb_build_object('chat', p.enable_chat, 'call', p.enable_call) = s.value);

UPDATE callctl.saved_value AS s SET superseded_at = now()
WHERE s.relation = 'chatbots' AND s.field = 'capabilities' AND s.saved_by = 'down' AND s.superseded_at IS NULL
  AND NOT EXISTS (
    SELECT FROM chatapp.chatbots AS c
    WHERE c.id = s.row_id AND jsonb_build_object('chat', c.enabled_chat, 'call', c.enabled_call) = s.value);

ALTER TABLE chatapp.chatbot_packages
  DROP CONSTRAINT IF EXISTS chatbot_packages_capability_check,
  ADD CONSTRAINT chatbot_packages_capability_check CHECK (enable_chat = true OR enable_call = true) NOT VALID;

-- callctl: no-transaction
ALTER TABLE chatapp.chatbot_packages VALIDATE CONSTRAINT chatbot_packages_capability_check;

ALTER TABLE chatapp.chatbots
  DROP CONSTRAINT IF EXISTS chatbots_capability_check,
  ADD CONSTRAINT chatbots_capability_check CHECK (enabled_chat = true OR enabled_call = true) NOT VALID;

-- callctl: no-transaction
ALTER TABLE chatapp.chatbots VALIDATE CONSTRAINT chatbots_capability_check;

-- callctl: no-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_chatbot_packages_capabilities
ON chatapp.chatbot_packages(enable_chat, enable_call)
WHERE deletedAt IS NULL;

-- callctl: no-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_chatbots_capabilities
ON chatapp.chatbots(enabled_chat, enabled_call)
WHERE deletedAt IS NULL;

-- callctl: no-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_chatbots_company_capabilities
ON chatapp.chatbots(company_id, enabled_chat, enabled_call)
WHERE deletedAt IS NULL;
