-- Step 3: chatbots gets its two capability flags. Metadata only.
-- Specification: section 2. While the type column exists too, a trigger keeps both in step from the first moment,
-- so that rows the running application writes need no backfill.

SELECT callctl.make_sync_function('chatapp.chatbots'::regclass, 'chatbottype'::name, 'enabled_chat'::name, 'enabled_call'::name);

ALTER TABLE chatapp.chatbots
  ADD COLUMN IF NOT EXISTS enabled_chat BOOLEAN NOT NULL DEFAULT true,
  ADD COLUMN IF NOT EXISTS enabled_call BOOLEAN NOT NULL DEFAULT false;

DROP TRIGGER IF EXISTS callctl_sync_capabilities ON chatapp.chatbots;

CREATE TRIGGER callctl_sync_capabilities
  BEFORE INSERT OR UPDATE OF chatbotType, enabled_chat, enabled_call ON chatapp.chatbots
  FOR EACH ROW EXECUTE FUNCTION callctl.sync_chatbots();
