-- steps: 6
-- means: nothing is wrong: somebody has decided otherwise since, and a way back would not give the old type back
-- mends: nothing needs to be mended; callctl migrate down derives the type from the flags

-- check (warns): chatbot-types-current: the flags of every chatbot whose type was an unusual one are still what step 4 made of it
SELECT c.id, s.value AS type, s.left_there AS flags_then
FROM callctl.saved_value AS s
JOIN chatapp.chatbots AS c ON c.id = s.row_id
WHERE s.relation = 'chatbots' AND s.field = 'chatbot_type' AND s.saved_by = 'up' AND s.superseded_at IS NULL
  AND s.left_there <> jsonb_build_object('chat', c.enabled_chat, 'call', c.enabled_call);
