-- Step 12 down, after: what was saved of the time before up is stored at its path again, and is not needed any more.

-- check: company-flags-back: every company has at its path what was saved of it
SELECT c.id, c.settings #> '{features,callEnabled}' AS call_enabled
FROM callctl.saved_value AS b
JOIN chatapp.companies AS c ON c.id = b.company_id
WHERE b.field = 'settings.features.callEnabled' AND b.saved_by = 'up' AND b.superseded_at IS NULL
  AND c.settings #> '{features,callEnabled}' IS DISTINCT FROM
      CASE WHEN jsonb_typeof(b.value -> 'callEnabled') = 'boolean' THEN b.value -> 'callEnabled' END;

-- check: call-settings-back: every chatbot has at its path what was saved of it
SELECT c.id
FROM callctl.saved_value AS b
JOIN chatapp.chatbots AS c ON c.id = b.chatbot_id
WHERE b.field = 'settings.call' AND b.saved_by = 'up' AND b.superseded_at IS NULL
  AND c.settings -> 'call' IS DISTINCT FROM b.value -> 'call';

DELETE FROM callctl.saved_value
WHERE field IN ('settings.features.callEnabled', 'settings.call') AND saved_by = 'up' AND superseded_at IS NULL;

DELETE FROM callctl.known_before WHERE step = 12;

DELETE FROM callctl.definition WHERE step = 12;
