-- Step 5: chatbot_packages loses its type column. From here on code that names it fails.
-- Specification: L159-167. Values that the flags can't say (unknown types, NULL) are saved first; so is the column's
-- full definition. The flags alone give 'chat' and 'call' back.

-- callctl: batched
INSERT INTO callctl.saved_value (relation, field, saved_by, row_id, value, left_there)
SELECT 'chatbot_packages', 'chatbot_type', 'up', id, to_jsonb(chatbotType),
       jsonb_build_object('chat', enable_chat, 'call', enable_call)
FROM chatapp.chatbot_packages
WHERE chatbotType IS NULL OR chatbotType NOT IN ('chat', 'call')
FOR NO KEY UPDATE
ON CONFLICT (relation, field, saved_by, row_id) WHERE superseded_at IS NULL
DO UPDATE SET value = EXCLUDED.value, left_there = EXCLUDED.left_there, saved_at = now();

-- callctl: repeatable
SELECT callctl.remember_column(5, 'chatapp.chatbot_packages'::regclass, 'chatbottype'::name);

-- A type saved of a row that never came to be (ON CONFLICT left it out), or that another of its id has replaced, is not
-- the type of the row that is there. One look by key for each: read whole, the table would be locked for as long, below.
DELETE FROM callctl.saved_value AS s
WHERE s.relation = 'chatbot_packages' AND s.field = 'chatbot_type' AND s.saved_by = 'up' AND s.superseded_at IS NULL
  AND (SELECT to_jsonb(c.chatbotType) IS DISTINCT FROM s.value FROM chatapp.chatbot_packages AS c WHERE c.id = s.row_id);

-- The trigger has kept later writes saved, so this holds until the lock below is taken.
-- check: package-types-saved: every type that the flags can't say is saved
SELECT p.id, p.chatbotType
FROM chatapp.chatbot_packages AS p
LEFT JOIN callctl.saved_value AS s
  ON s.relation = 'chatbot_packages' AND s.field = 'chatbot_type' AND s.saved_by = 'up' AND s.row_id = p.id
 AND s.superseded_at IS NULL
WHERE (p.chatbotType IS NULL OR p.chatbotType NOT IN ('chat', 'call'))
  AND (s.id IS NULL OR s.value IS DISTINCT FROM to_jsonb(p.chatbotType));

DROP TRIGGER IF EXISTS callctl_sync_capabilities ON chatapp.chatbot_packages;

-- The same of what the trigger has saved since, after its last word; the others' pages are at hand by now.
DELETE FROM callctl.saved_value AS s
WHERE s.relation = 'chatbot_packages' AND s.field = 'chatbot_type' AND s.saved_by = 'up' AND s.superseded_at IS NULL
  AND (SELECT to_jsonb(c.chatbotType) IS DISTINCT FROM s.value FROM chatapp.chatbot_packages AS c WHERE c.id = s.row_id);

-- callctl: commit
ALTER TABLE chatapp.chatbot_packages DROP COLUMN chatbotType;

-- Flags that were saved beside a type stand in their columns, and there is no type any more to say otherwise.
DELETE FROM callctl.saved_value
WHERE relation = 'chatbot_packages' AND field = 'capabilities' AND saved_by = 'down' AND superseded_at IS NULL;

DROP FUNCTION IF EXISTS callctl.sync_chatbot_packages();
