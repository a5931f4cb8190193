-- Step 2 down: chatbot_packages loses its capability flags.
-- Specification: L479-492.

-- callctl: commit
ALTER TABLE chatapp.chatbot_packages
  DROP COLUMN IF EXISTS enable_chat,
  DROP COLUMN IF EXISTS enable_call;
