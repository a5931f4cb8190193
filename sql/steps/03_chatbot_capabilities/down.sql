-- Step 3 down: chatbots loses its capability flags.
-- Specification: L479-492.

-- callctl: commit
ALTER TABLE chatapp.chatbots
  DROP COLUMN IF EXISTS enabled_chat,
  DROP COLUMN IF EXISTS enabled_call;
