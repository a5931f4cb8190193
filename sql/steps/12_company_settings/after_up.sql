-- Step 12, after: flags and call settings that an earlier down removed are restored, if there was no other write since.

-- callctl: batched
WITH kept AS (
  SELECT s.row_id, s.value, s.left_there
  FROM callctl.saved_value AS s
  JOIN chatapp.companies AS c ON c.id = s.company_id
  LEFT JOIN callctl.saved_value AS b
    ON b.company_id = s.company_id AND b.field = s.field AND b.saved_by = 'up' AND b.superseded_at IS NULL
  WHERE s.field = 'settings.features.callEnabled' AND s.saved_by = 'down' AND s.superseded_at IS NULL
    AND jsonb_typeof(COALESCE(s.value, 'false')) = 'boolean'
    AND CASE WHEN jsonb_typeof(b.value -> 'callEnabled') = 'boolean' THEN b.value -> 'callEnabled' END
        IS NOT DISTINCT FROM s.left_there
    AND c.settings #> '{features,callEnabled}' = COALESCE(s.left_there, 'false')
    AND c.settings #> '{features,callEnabled}' <> COALESCE(s.value, 'false')
  FOR UPDATE OF s
)
UPDATE chatapp.companies AS c SET settings = jsonb_set(c.settings, '{features,callEnabled}', COALESCE(kept.value, 'false'))
FROM kept
WHERE c.id = kept.row_id AND c.settings #> '{features,callEnabled}' = COALESCE(kept.left_there, 'false');

UPDATE callctl.saved_value AS s SET superseded_at = now()
WHERE s.company_id IS NOT NULL AND s.field = 'settings.features.callEnabled' AND s.saved_by = 'down'
  AND s.superseded_at IS NULL
  AND NOT EXISTS (
    SELECT FROM chatapp.companies AS c
    WHERE c.id = s.company_id AND c.settings #> '{features,callEnabled}' = COALESCE(s.value, 'false'));

-- A call-enabled chatbot is never without call settings: where it had been left with none, it keeps the defaults.
-- callctl: batched
WITH kept AS (
  SELECT s.row_id, s.value, s.left_there, b.value -> 'call' AS before
  FROM callctl.saved_value AS s
  JOIN chatapp.chatbots AS c ON c.id = s.chatbot_id
  LEFT JOIN callctl.saved_value AS b
    ON b.chatbot_id = s.chatbot_id AND b.field = s.field AND b.saved_by = 'up' AND b.superseded_at IS NULL
  WHERE s.field = 'settings.call' AND s.saved_by = 'down' AND s.superseded_at IS NULL
    AND b.value -> 'call' IS NOT DISTINCT FROM s.left_there
    AND (c.settings -> 'call' IS NOT DISTINCT FROM b.value -> 'call' OR c.settings -> 'call' = callctl.default_call_settings())
    AND c.settings -> 'call' IS DISTINCT FROM CASE
          WHEN c.enabled_call AND COALESCE(s.value, '{}') IN ('{}', 'null') THEN callctl.default_call_settings() ELSE s.value END
  FOR UPDATE OF s
), noted AS (
  INSERT INTO callctl.saved_value (chatbot_id, field, saved_by, value)
  SELECT c.id, 'settings.call', 'up', '{"settings": "absent"}'
  FROM kept JOIN chatapp.chatbots AS c ON c.id = kept.row_id
  WHERE c.settings IS NULL
  ON CONFLICT (relation, field, saved_by, row_id) WHERE superseded_at IS NULL DO NOTHING
)
UPDATE chatapp.chatbots AS c
SET settings = CASE
  WHEN c.enabled_call AND COALESCE(kept.value, '{}') IN ('{}', 'null')
    THEN jsonb_set(COALESCE(c.settings, '{}'), '{call}', callctl.default_call_settings())
  WHEN kept.value IS NULL THEN c.settings - 'call'
  ELSE jsonb_set(COALESCE(c.settings, '{}'), '{call}', kept.value) END
FROM kept
WHERE c.id = kept.row_id
  AND (c.settings -> 'call' IS NOT DISTINCT FROM kept.before OR c.settings -> 'call' = callctl.default_call_settings());

UPDATE callctl.saved_value AS s SET superseded_at = now()
WHERE s.chatbot_id IS NOT NULL AND s.field = 'settings.call' AND s.saved_by = 'down' AND s.superseded_at IS NULL
  AND NOT EXISTS (
    SELECT FROM chatapp.chatbots AS c
    WHERE c.id = s.chatbot_id
      AND (c.settings -> 'call' IS NOT DISTINCT FROM s.value
           OR c.settings -> 'call' = callctl.default_call_settings() AND COALESCE(s.value, '{}') IN ('{}', 'null')));

DELETE FROM callctl.saved_value
WHERE field IN ('settings.features.callEnabled', 'settings.call') AND saved_by = 'down' AND superseded_at IS NULL;

-- A company that is made from here on may go without the flag.
-- callctl: repeatable
SELECT callctl.remember_newest(12, 'chatapp.companies'::regclass);
