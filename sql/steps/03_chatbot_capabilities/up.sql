-- Step 3: chatbots gets its two capability flags. Metadata only.
-- Specification: section 2.

ALTER TABLE chatapp.chatbots
  ADD COLUMN IF NOT EXISTS enabled_chat BOOLEAN NOT NULL DEFAULT true,
  ADD COLUMN IF NOT EXISTS enabled_call BOOLEAN NOT NULL DEFAULT false;
