-- steps: 6
-- means: nothing is wrong: somebody has decided otherwise since, and a way back would not give the old type back
-- mends: nothing needs to be mended; callctl migrate down derives the type from the flags

-- The row is looked up only where there is a value to compare: saved values are read once, for all that is asked of them.
-- check (warns): chatbot-types-current: the flags of every chatbot whose type was an unusual one are still what step 4 made of it
SELECT s.row_id AS id, s.value AS type, s.left_there AS flags_then
FROM callctl.saved_value AS s
WHERE s.field = 'chatbot_type' AND s.saved_by = 'up' AND s.superseded_at IS NULL AND s.relation = 'chatbots'
  AND s.left_there <> (SELECT jsonb_build_object('chat', c.enabled_chat, 'call', c.enabled_call) FROM chatapp.chatbots AS c WHERE c.id = s.row_id);
