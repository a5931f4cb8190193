-- Step 2 down, before: flags that the type column can't say (hybrids) are saved for the next up, and it is proved that the
-- type says the rest.

-- Where step 4 was never applied, the flags of call bots were never filled: the type is what counts.
-- callctl: batched
UPDATE chatapp.chatbot_packages SET enable_chat = false, enable_call = true
WHERE chatbotType = 'call' AND enable_chat AND NOT enable_call
  AND NOT (SELECT callctl.flags_filled('chatbot_packages'));

-- callctl: batched
INSERT INTO callctl.saved_value (chatbot_package_id, field, saved_by, value, left_there)
SELECT p.id, 'capabilities', 'down',
       jsonb_build_object('chat', p.enable_chat, 'call', p.enable_call), to_jsonb(p.chatbotType)
FROM chatapp.chatbot_packages AS p
WHERE p.enable_chat AND p.enable_call
  AND NOT EXISTS (
    SELECT FROM callctl.saved_value AS s
    WHERE s.chatbot_package_id = p.id AND s.field = 'capabilities' AND s.saved_by = 'down' AND s.superseded_at IS NULL
      AND s.value = jsonb_build_object('chat', p.enable_chat, 'call', p.enable_call))
FOR NO KEY UPDATE OF p
ON CONFLICT (relation, field, saved_by, row_id) WHERE superseded_at IS NULL
DO UPDATE SET value = EXCLUDED.value, left_there = EXCLUDED.left_there, saved_at = now();

-- Flags that were saved and then written past the triggers are not those of the row any more.
UPDATE callctl.saved_value AS s SET superseded_at = now()
WHERE s.chatbot_package_id IS NOT NULL AND s.field = 'capabilities' AND s.saved_by = 'down' AND s.superseded_at IS NULL
  AND (SELECT callctl.flags_filled('chatbot_packages'))
  AND EXISTS (
    SELECT FROM chatapp.chatbot_packages AS p
    WHERE p.id = s.chatbot_package_id AND jsonb_build_object('chat', p.enable_chat, 'call', p.enable_call) <> s.value);

-- callctl: no-transaction, again
CALL callctl.prove_forms(2, 'down', 'chatapp.chatbot_packages'::regclass, 'chatbottype'::name, 'enable_chat'::name, 'enable_call'::name);

-- Behind a lock, which the next statement shares: what was proved still holds, and the triggers go.
CALL callctl.end_sync('chatapp.chatbot_packages'::regclass);
