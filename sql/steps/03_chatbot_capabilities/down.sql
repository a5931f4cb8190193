-- Step 3, back: chatbots loses its capability flags.
-- Specification: L479-492. Flags that the type column can't say (hybrids) are saved for the next up.

-- callctl: batched
INSERT INTO callctl.saved_value (relation, field, saved_by, row_id, value, left_there)
SELECT 'chatbots', 'capabilities', 'down', id,
       jsonb_build_object('chat', enabled_chat, 'call', enabled_call), to_jsonb(chatbotType)
FROM chatapp.chatbots
WHERE enabled_chat IS DISTINCT FROM COALESCE(chatbotType <> 'call', true)
   OR enabled_call IS DISTINCT FROM COALESCE(chatbotType = 'call', false)
FOR NO KEY UPDATE
ON CONFLICT (relation, field, saved_by, row_id) WHERE superseded_at IS NULL
DO UPDATE SET value = EXCLUDED.value, left_there = EXCLUDED.left_there, saved_at = now();

-- The trigger has kept later writes saved, so this holds until the lock below is taken.
-- check: chatbot-flags-saved: every pair of flags that the type can't say is saved
SELECT p.id, p.enabled_chat, p.enabled_call
FROM chatapp.chatbots AS p
LEFT JOIN callctl.saved_value AS s
  ON s.relation = 'chatbots' AND s.field = 'capabilities' AND s.saved_by = 'down' AND s.row_id = p.id
 AND s.superseded_at IS NULL
WHERE (p.enabled_chat IS DISTINCT FROM COALESCE(p.chatbotType <> 'call', true)
    OR p.enabled_call IS DISTINCT FROM COALESCE(p.chatbotType = 'call', false))
  AND s.value IS DISTINCT FROM jsonb_build_object('chat', p.enabled_chat, 'call', p.enabled_call);

DROP TRIGGER IF EXISTS callctl_sync_capabilities ON chatapp.chatbots;

-- callctl: commit
ALTER TABLE chatapp.chatbots
  DROP COLUMN IF EXISTS enabled_chat,
  DROP COLUMN IF EXISTS enabled_call;

-- Type values that were saved stand in their column again.
DELETE FROM callctl.saved_value
WHERE relation = 'chatbots' AND field = 'chatbot_type' AND saved_by = 'up' AND superseded_at IS NULL;

DROP FUNCTION IF EXISTS callctl.sync_chatbots();
