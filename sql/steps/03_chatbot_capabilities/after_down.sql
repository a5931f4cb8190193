-- Step 3 down, after: the type column holds the unknown types that were saved beside the flags.

DELETE FROM callctl.saved_value
WHERE chatbot_id IS NOT NULL AND field = 'chatbot_type' AND saved_by = 'up' AND superseded_at IS NULL;
