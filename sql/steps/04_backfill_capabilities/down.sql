-- Step 4 down: the CHECKs and the indexes go. The flags go with steps 3 and 2, which save what they held.
-- Specification: L463-476.

-- callctl: no-transaction
DROP INDEX CONCURRENTLY IF EXISTS chatapp.idx_chatbots_company_capabilities;

-- callctl: no-transaction
DROP INDEX CONCURRENTLY IF EXISTS chatapp.idx_chatbots_capabilities;

-- callctl: no-transaction
DROP INDEX CONCURRENTLY IF EXISTS chatapp.idx_chatbot_packages_capabilities;

-- callctl: commit
ALTER TABLE chatapp.chatbots DROP CONSTRAINT IF EXISTS chatbots_capability_check;

ALTER TABLE chatapp.chatbot_packages DROP CONSTRAINT IF EXISTS chatbot_packages_capability_check;
