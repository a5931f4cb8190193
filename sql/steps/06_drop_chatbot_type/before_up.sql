-- Step 6, before: types that the flags can't say (unknown ones, NULL) are saved, the column's full definition is written down,
-- and it is proved that the flags say the rest.

-- callctl: batched
INSERT INTO callctl.saved_value (chatbot_id, field, saved_by, value, left_there)
SELECT c.id, 'chatbot_type', 'up', to_jsonb(c.chatbotType),
       jsonb_build_object('chat', c.enabled_chat, 'call', c.enabled_call)
FROM chatapp.chatbots AS c
WHERE (c.chatbotType IN ('chat', 'call')) IS NOT TRUE
  AND NOT EXISTS (
    SELECT FROM callctl.saved_value AS s
    WHERE s.chatbot_id = c.id AND s.field = 'chatbot_type' AND s.saved_by = 'up' AND s.superseded_at IS NULL
      AND s.value IS NOT DISTINCT FROM to_jsonb(c.chatbotType))
FOR NO KEY UPDATE OF c
ON CONFLICT (relation, field, saved_by, row_id) WHERE superseded_at IS NULL
DO UPDATE SET value = EXCLUDED.value, left_there = EXCLUDED.left_there, saved_at = now();

-- Types that were saved and then written past the triggers are not those of the row any more.
UPDATE callctl.saved_value AS s SET superseded_at = now()
WHERE s.chatbot_id IS NOT NULL AND s.field = 'chatbot_type' AND s.saved_by = 'up' AND s.superseded_at IS NULL
  AND EXISTS (SELECT FROM chatapp.chatbots AS c WHERE c.id = s.chatbot_id AND to_jsonb(c.chatbotType) IS DISTINCT FROM s.value);

-- callctl: repeatable
SELECT callctl.remember_column(6, 'chatapp.chatbots'::regclass, 'chatbottype'::name);

-- callctl: no-transaction, again
CALL callctl.prove_forms(6, 'up', 'chatapp.chatbots'::regclass, 'chatbottype'::name, 'enabled_chat'::name, 'enabled_call'::name);

-- Behind a lock, which the next statement shares: what was proved still holds, and the triggers go.
CALL callctl.end_sync('chatapp.chatbots'::regclass);
