-- steps: 6
-- means: nothing is wrong: an administrator has changed the flags since, and a rollback would not restore the old type
-- fix: no fix is needed; callctl migrate down derives the type from the flags

-- The row is looked up only for a value to compare: the saved values are read once for all checks.
-- check (warns): chatbot-types-current: the flags of every chatbot with an undocumented type are as step 4 set them
SELECT s.row_id AS id, s.value AS type, s.left_there AS flags_then
FROM callctl.saved_value AS s
WHERE s.field = 'chatbot_type' AND s.saved_by = 'up' AND s.superseded_at IS NULL AND s.relation = 'chatbots'
  AND s.left_there <> (SELECT jsonb_build_object('chat', c.enabled_chat, 'call', c.enabled_call) FROM chatapp.chatbots AS c WHERE c.id = s.row_id);
