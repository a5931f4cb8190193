-- Step 5, before: types that the flags can't say (unknown ones, NULL) are saved, the column's full definition is written down,
-- and it is proved that the flags say the rest.

-- callctl: batched
INSERT INTO callctl.saved_value (chatbot_package_id, field, saved_by, value, left_there)
SELECT p.id, 'chatbot_type', 'up', to_jsonb(p.chatbotType),
       jsonb_build_object('chat', p.enable_chat, 'call', p.enable_call)
FROM chatapp.chatbot_packages AS p
WHERE (p.chatbotType IN ('chat', 'call')) IS NOT TRUE
  AND NOT EXISTS (
    SELECT FROM callctl.saved_value AS s
    WHERE s.chatbot_package_id = p.id AND s.field = 'chatbot_type' AND s.saved_by = 'up' AND s.superseded_at IS NULL
      AND s.value IS NOT DISTINCT FROM to_jsonb(p.chatbotType))
FOR NO KEY UPDATE OF p
ON CONFLICT (relation, field, saved_by, row_id) WHERE superseded_at IS NULL
DO UPDATE SET value = EXCLUDED.value, left_there = EXCLUDED.left_there, saved_at = now();

-- Types that were saved and then written past the triggers are not those of the row any more.
UPDATE callctl.saved_value AS s SET superseded_at = now()
WHERE s.chatbot_package_id IS NOT NULL AND s.field = 'chatbot_type' AND s.saved_by = 'up' AND s.superseded_at IS NULL
  AND EXISTS (SELECT FROM chatapp.chatbot_packages AS p WHERE p.id = s.chatbot_package_id AND to_jsonb(p.chatbotType) IS DISTINCT FROM s.value);

-- callctl: repeatable
SELECT callctl.remember_column(5, 'chatapp.chatbot_packages'::regclass, 'chatbottype'::name);

-- callctl: no-transaction, again
CALL callctl.prove_forms(5, 'up', 'chatapp.chatbot_packages'::regclass, 'chatbottype'::name, 'enable_chat'::name, 'enable_call'::name);

-- Behind a lock, which the next statement shares: what was proved still holds, and the triggers go.
CALL callctl.end_sync('chatapp.chatbot_packages'::regclass);
