-- Step 12: what is true once it is done. One pass over each table.

-- check: company-flags: every company that was there has features.callEnabled, true or false
SELECT c.id, c.settings #> '{features,callEnabled}' AS call_enabled
FROM chatapp.companies AS c
JOIN callctl.saved_value AS s
  ON s.relation = 'companies' AND s.field = 'settings.features.callEnabled' AND s.saved_by = 'up' AND s.row_id = c.id
WHERE jsonb_typeof(c.settings #> '{features,callEnabled}') IS DISTINCT FROM 'boolean';

-- check: call-settings-present: every call-enabled chatbot has call settings
SELECT id FROM chatapp.chatbots
WHERE enabled_call AND COALESCE(settings -> 'call', '{}') IN ('{}', 'null');
