-- steps: 5
-- means: nothing is wrong: an administrator has changed the flags since, and a rollback would not restore the old type
-- fix: no fix is needed; callctl migrate down derives the type from the flags

-- The row is looked up only for a value to compare: the saved values are read once for all checks.
-- check (warns): package-types-current: the flags of every package with an undocumented type are as step 4 set them
SELECT s.row_id AS id, s.value AS type, s.left_there AS flags_then
FROM callctl.saved_value AS s
WHERE s.field = 'chatbot_type' AND s.saved_by = 'up' AND s.superseded_at IS NULL AND s.relation = 'chatbot_packages'
  AND s.left_there <> (SELECT jsonb_build_object('chat', p.enable_chat, 'call', p.enable_call) FROM chatapp.chatbot_packages AS p WHERE p.id = s.row_id);
