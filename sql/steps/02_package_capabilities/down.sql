-- Step 2, back: chatbot_packages loses its capability flags.
-- Specification: L479-492. Flags that the type column can't say (hybrids) are saved for the next up.

-- callctl: batched
INSERT INTO callctl.saved_value (relation, field, saved_by, row_id, value, left_there)
SELECT 'chatbot_packages', 'capabilities', 'down', id,
       jsonb_build_object('chat', enable_chat, 'call', enable_call), to_jsonb(chatbotType)
FROM chatapp.chatbot_packages
WHERE enable_chat IS DISTINCT FROM COALESCE(chatbotType <> 'call', true)
   OR enable_call IS DISTINCT FROM COALESCE(chatbotType = 'call', false)
FOR NO KEY UPDATE
ON CONFLICT (relation, field, saved_by, row_id) WHERE superseded_at IS NULL
DO UPDATE SET value = EXCLUDED.value, left_there = EXCLUDED.left_there, saved_at = now();

-- The trigger has kept later writes saved, so this holds until the lock below is taken.
-- check: package-flags-saved: every pair of flags that the type can't say is saved
SELECT p.id, p.enable_chat, p.enable_call
FROM chatapp.chatbot_packages AS p
LEFT JOIN callctl.saved_value AS s
  ON s.relation = 'chatbot_packages' AND s.field = 'capabilities' AND s.saved_by = 'down' AND s.row_id = p.id
 AND s.superseded_at IS NULL
WHERE (p.enable_chat IS DISTINCT FROM COALESCE(p.chatbotType <> 'call', true)
    OR p.enable_call IS DISTINCT FROM COALESCE(p.chatbotType = 'call', false))
  AND s.value IS DISTINCT FROM jsonb_build_object('chat', p.enable_chat, 'call', p.enable_call);

DROP TRIGGER IF EXISTS callctl_sync_capabilities ON chatapp.chatbot_packages;

-- callctl: commit
ALTER TABLE chatapp.chatbot_packages
  DROP COLUMN IF EXISTS enable_chat,
  DROP COLUMN IF EXISTS enable_call;

-- Type values that were saved stand in their column again.
DELETE FROM callctl.saved_value
WHERE relation = 'chatbot_packages' AND field = 'chatbot_type' AND saved_by = 'up' AND superseded_at IS NULL;

DROP FUNCTION IF EXISTS callctl.sync_chatbot_packages();
