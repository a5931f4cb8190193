-- Step 12: what is true once it is done. One pass over each table.

-- check: company-flags: every company that was there has features.callEnabled, true or false
SELECT c.id, c.settings #> '{features,callEnabled}' AS call_enabled
FROM chatapp.companies AS c
JOIN callctl.saved_value AS s
  ON s.relation = 'companies' AND s.field = 'settings.features.callEnabled' AND s.saved_by = 'up' AND s.row_id = c.id
WHERE jsonb_typeof(c.settings #> '{features,callEnabled}') IS DISTINCT FROM 'boolean';

-- While the type column is there, an application that knows of no call settings makes call bots; step 6 gives them theirs.
-- check: call-settings-present: every call-enabled chatbot has call settings
SELECT c.id FROM chatapp.chatbots AS c
WHERE c.enabled_call AND COALESCE(c.settings -> 'call', '{}') IN ('{}', 'null')
  AND NOT EXISTS (
    SELECT FROM pg_trigger AS t
    WHERE t.tgrelid = 'chatapp.chatbots'::regclass AND t.tgname = 'callctl_sync_capabilities');
