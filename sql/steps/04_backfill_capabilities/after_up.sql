-- Step 4, after: flags that an earlier down removed are restored, if the type is still the one it left and no write of
-- either form was seen since. The others are marked superseded: they are listed, and never restored.

-- callctl: no-transaction
SELECT callctl.leave_no_more_room(4);

-- callctl: batched
WITH kept AS (
  SELECT s.row_id, s.value, s.left_there
  FROM callctl.saved_value AS s
  JOIN chatapp.chatbot_packages AS p ON p.id = s.chatbot_package_id
  WHERE s.field = 'capabilities' AND s.saved_by = 'down' AND s.superseded_at IS NULL
    AND to_jsonb(p.chatbotType) IS NOT DISTINCT FROM s.left_there
    AND jsonb_build_object('chat', p.enable_chat, 'call', p.enable_call) <> s.value
  FOR NO KEY UPDATE OF s
)
UPDATE chatapp.chatbot_packages AS p
SET enable_chat = (kept.value ->> 'chat')::boolean, enable_call = (kept.value ->> 'call')::boolean
FROM kept
WHERE p.id = kept.row_id AND to_jsonb(p.chatbotType) IS NOT DISTINCT FROM kept.left_there;

-- callctl: batched
WITH kept AS (
  SELECT s.row_id, s.value, s.left_there
  FROM callctl.saved_value AS s
  JOIN chatapp.chatbots AS c ON c.id = s.chatbot_id
  WHERE s.field = 'capabilities' AND s.saved_by = 'down' AND s.superseded_at IS NULL
    AND to_jsonb(c.chatbotType) IS NOT DISTINCT FROM s.left_there
    AND jsonb_build_object('chat', c.enabled_chat, 'call', c.enabled_call) <> s.value
  FOR NO KEY UPDATE OF s
)
UPDATE chatapp.chatbots AS c
SET enabled_chat = (kept.value ->> 'chat')::boolean, enabled_call = (kept.value ->> 'call')::boolean
FROM kept
WHERE c.id = kept.row_id AND to_jsonb(c.chatbotType) IS NOT DISTINCT FROM kept.left_there;

UPDATE callctl.saved_value AS s SET superseded_at = now()
WHERE s.chatbot_package_id IS NOT NULL AND s.field = 'capabilities' AND s.saved_by = 'down' AND s.superseded_at IS NULL
  AND NOT EXISTS (
    SELECT FROM chatapp.chatbot_packages AS p
    WHERE p.id = s.chatbot_package_id AND jsonb_build_object('chat', p.enable_chat, 'call', p.enable_call) = s.value);

UPDATE callctl.saved_value AS s SET superseded_at = now()
WHERE s.chatbot_id IS NOT NULL AND s.field = 'capabilities' AND s.saved_by = 'down' AND s.superseded_at IS NULL
  AND NOT EXISTS (
    SELECT FROM chatapp.chatbots AS c
    WHERE c.id = s.chatbot_id AND jsonb_build_object('chat', c.enabled_chat, 'call', c.enabled_call) = s.value);
