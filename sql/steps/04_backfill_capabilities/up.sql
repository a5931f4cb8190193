-- Step 4: the flags of every row, soft-deleted ones too, say what its type says; then the CHECKs and the indexes.
-- Specification: L104-131 for the mapping, L291-349 for the rest. The unconditional true/false of L337-348 is not run:
-- it turns every call bot into a chat bot. Only rows whose flags contradict their type are written. The type is named too, so
-- that it wins even where another trigger takes the flags back: of both forms in one statement, flags left as they were lose.

-- callctl: batched
UPDATE chatapp.chatbot_packages
SET
  chatbotType = chatbotType,
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
WHERE (chatbotType = 'call' AND (enable_chat OR NOT enable_call))
   OR (chatbotType IS DISTINCT FROM 'call' AND NOT enable_chat);

-- callctl: batched
UPDATE chatapp.chatbots
SET
  chatbotType = chatbotType,
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
WHERE (chatbotType = 'call' AND (enabled_chat OR NOT enabled_call))
   OR (chatbotType IS DISTINCT FROM 'call' AND NOT enabled_chat);

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
