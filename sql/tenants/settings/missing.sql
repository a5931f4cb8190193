-- The call-enabled chatbots without call settings, soft-deleted ones too, as step 12 counts them: none, null or {}. Settings
-- that are no object cannot hold any, and are named by what they are.
SELECT c.id::text, c.company_id::text, (c.deletedAt IS NOT NULL) AS deleted,
       CASE WHEN jsonb_typeof(c.settings) <> 'object' THEN jsonb_typeof(c.settings) END AS shape
FROM chatapp.chatbots AS c
WHERE c.enabled_call
  AND (COALESCE(c.settings -> 'call', '{}') IN ('{}', 'null') OR jsonb_typeof(c.settings) <> 'object')
ORDER BY c.id;
