-- Step 3 down, before: flags that the type column can't say (hybrids) are saved for the next up, and it is proved that the
-- type says the rest.

-- Where step 4 was never applied, the flags of call bots were never filled: the type is what counts.
-- callctl: batched
UPDATE chatapp.chatbots SET enabled_chat = false, enabled_call = true
WHERE chatbotType = 'call' AND enabled_chat AND NOT enabled_call
  AND NOT (SELECT callctl.flags_filled('chatbots'));

-- callctl: batched
INSERT INTO callctl.saved_value (chatbot_id, field, saved_by, value, left_there)
SELECT c.id, 'capabilities', 'down',
       jsonb_build_object('chat', c.enabled_chat, 'call', c.enabled_call), to_jsonb(c.chatbotType)
FROM chatapp.chatbots AS c
WHERE c.enabled_chat AND c.enabled_call
  AND NOT EXISTS (
    SELECT FROM callctl.saved_value AS s
    WHERE s.chatbot_id = c.id AND s.field = 'capabilities' AND s.saved_by = 'down' AND s.superseded_at IS NULL
      AND s.value = jsonb_build_object('chat', c.enabled_chat, 'call', c.enabled_call))
FOR NO KEY UPDATE OF c
ON CONFLICT (relation, field, saved_by, row_id) WHERE superseded_at IS NULL
DO UPDATE SET value = EXCLUDED.value, left_there = EXCLUDED.left_there, saved_at = now();

-- Flags that were saved and then written past the triggers are not those of the row any more.
UPDATE callctl.saved_value AS s SET superseded_at = now()
WHERE s.chatbot_id IS NOT NULL AND s.field = 'capabilities' AND s.saved_by = 'down' AND s.superseded_at IS NULL
  AND (SELECT callctl.flags_filled('chatbots'))
  AND EXISTS (
    SELECT FROM chatapp.chatbots AS c
    WHERE c.id = s.chatbot_id AND jsonb_build_object('chat', c.enabled_chat, 'call', c.enabled_call) <> s.value);

-- callctl: no-transaction, again
CALL callctl.prove_forms(3, 'down', 'chatapp.chatbots'::regclass, 'chatbottype'::name, 'enabled_chat'::name, 'enabled_call'::name);

-- Behind a lock, which the next statement shares: what was proved still holds, and the triggers go.
CALL callctl.end_sync('chatapp.chatbots'::regclass);
