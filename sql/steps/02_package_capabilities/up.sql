-- Step 2: chatbot_packages gets its two capability flags. Metadata only.
-- Specification: section 2.

ALTER TABLE chatapp.chatbot_packages
  ADD COLUMN IF NOT EXISTS enable_chat BOOLEAN NOT NULL DEFAULT true,
  ADD COLUMN IF NOT EXISTS enable_call BOOLEAN NOT NULL DEFAULT false;
