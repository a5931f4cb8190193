-- Step 4, back: the CHECKs and the indexes go. The flags go with steps 3 and 2, which save what they held.
-- Specification: L463-476.

-- callctl: no-transaction
DROP INDEX CONCURRENTLY IF EXISTS chatapp.idx_chatbots_company_capabilities;

-- callctl: no-transaction
DROP INDEX CONCURRENTLY IF EXISTS chatapp.idx_chatbots_capabilities;

-- callctl: no-transaction
DROP INDEX CONCURRENTLY IF EXISTS chatapp.idx_chatbot_packages_capabilities;

-- Flags saved of a row that never came to be (ON CONFLICT left it out), or that another of its id has replaced, are not
-- the flags of the row that is there.
DELETE FROM callctl.saved_value AS s
WHERE s.relation = 'chatbots' AND s.field = 'capabilities' AND s.saved_by = 'down' AND s.superseded_at IS NULL
  AND EXISTS (
    SELECT FROM chatapp.chatbots AS c
    WHERE c.id = s.row_id AND jsonb_build_object('chat', c.enabled_chat, 'call', c.enabled_call) <> s.value);

DELETE FROM callctl.saved_value AS s
WHERE s.relation = 'chatbot_packages' AND s.field = 'capabilities' AND s.saved_by = 'down' AND s.superseded_at IS NULL
  AND EXISTS (
    SELECT FROM chatapp.chatbot_packages AS c
    WHERE c.id = s.row_id AND jsonb_build_object('chat', c.enable_chat, 'call', c.enable_call) <> s.value);

-- callctl: commit
ALTER TABLE chatapp.chatbots DROP CONSTRAINT IF EXISTS chatbots_capability_check;

ALTER TABLE chatapp.chatbot_packages DROP CONSTRAINT IF EXISTS chatbot_packages_capability_check;
