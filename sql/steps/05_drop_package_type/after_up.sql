-- Step 5, after.

-- Hybrids were saved beside the type; their flags are in their columns, and no type says otherwise any more.
DELETE FROM callctl.saved_value
WHERE chatbot_package_id IS NOT NULL AND field = 'capabilities' AND saved_by = 'down' AND superseded_at IS NULL;
