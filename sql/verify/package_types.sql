-- steps: 5
-- means: nothing is wrong: somebody has decided otherwise since, and a way back would not give the old type back
-- mends: nothing needs to be mended; callctl migrate down derives the type from the flags

-- The row is looked up only where there is a value to compare: saved values are read once, for all that is asked of them.
-- check (warns): package-types-current: the flags of every package whose type was an unusual one are still what step 4 made of it
SELECT s.row_id AS id, s.value AS type, s.left_there AS flags_then
FROM callctl.saved_value AS s
WHERE s.field = 'chatbot_type' AND s.saved_by = 'up' AND s.superseded_at IS NULL AND s.relation = 'chatbot_packages'
  AND s.left_there <> (SELECT jsonb_build_object('chat', p.enable_chat, 'call', p.enable_call) FROM chatapp.chatbot_packages AS p WHERE p.id = s.row_id);
