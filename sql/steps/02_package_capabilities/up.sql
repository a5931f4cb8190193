-- Step 2: chatbot_packages gets its two capability flags. Metadata only.
-- Specification: section 2. While the type column exists too, a trigger keeps both in step from the first moment,
-- so that rows the running application writes need no backfill.

SELECT callctl.make_sync_function('chatapp.chatbot_packages'::regclass, 'chatbottype'::name, 'enable_chat'::name, 'enable_call'::name);

ALTER TABLE chatapp.chatbot_packages
  ADD COLUMN IF NOT EXISTS enable_chat BOOLEAN NOT NULL DEFAULT true,
  ADD COLUMN IF NOT EXISTS enable_call BOOLEAN NOT NULL DEFAULT false;

DROP TRIGGER IF EXISTS callctl_sync_capabilities ON chatapp.chatbot_packages;

CREATE TRIGGER callctl_sync_capabilities
  BEFORE INSERT OR UPDATE OF chatbotType, enable_chat, enable_call ON chatapp.chatbot_packages
  FOR EACH ROW EXECUTE FUNCTION callctl.sync_chatbot_packages();
