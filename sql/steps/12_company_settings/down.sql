-- Step 12 down: both settings paths get what was stored there before up, or nothing where there was nothing, containers included.
-- Every other key stays as the application left it. What the paths held is saved for the next up.
-- Specification: L2341-2353, L2704-2716 (which forget the values).

-- After callctl purge, or where the step was done without callctl, nothing tells a value of the step's from the platform's own:
-- it stays, and preflight says so.
-- callctl: batched, again
WITH found AS (
  SELECT c.id, c.settings #> '{features,callEnabled}' AS held, c.settings, b.value AS before,
         CASE WHEN jsonb_typeof(b.value -> 'callEnabled') = 'boolean' THEN b.value -> 'callEnabled' END AS goes_back
  FROM chatapp.companies AS c
  LEFT JOIN callctl.saved_value AS b
    ON b.company_id = c.id AND b.field = 'settings.features.callEnabled' AND b.saved_by = 'up' AND b.superseded_at IS NULL
  WHERE c.settings #> '{features,callEnabled}' IS DISTINCT FROM
        CASE WHEN jsonb_typeof(b.value -> 'callEnabled') = 'boolean' THEN b.value -> 'callEnabled' END
    AND (b.id IS NOT NULL OR EXISTS (SELECT FROM callctl.known_before AS k WHERE k.step = 12))
  FOR NO KEY UPDATE OF c
), saved AS (
  INSERT INTO callctl.saved_value (company_id, field, saved_by, value, left_there)
  SELECT id, 'settings.features.callEnabled', 'down', held, goes_back
  FROM found
  WHERE held IS DISTINCT FROM COALESCE(goes_back, 'false')
  ON CONFLICT (relation, field, saved_by, row_id) WHERE superseded_at IS NULL
  DO UPDATE SET value = EXCLUDED.value, left_there = EXCLUDED.left_there, saved_at = now()
)
UPDATE chatapp.companies AS c SET settings = callctl.without_call_flag(found.settings, found.before)
FROM found WHERE c.id = found.id;

-- callctl: batched, again
WITH found AS (
  SELECT c.id, c.settings -> 'call' AS held, c.settings, c.enabled_call, b.value AS before, b.value -> 'call' AS goes_back
  FROM chatapp.chatbots AS c
  LEFT JOIN callctl.saved_value AS b
    ON b.chatbot_id = c.id AND b.field = 'settings.call' AND b.saved_by = 'up' AND b.superseded_at IS NULL
  WHERE c.settings -> 'call' IS DISTINCT FROM b.value -> 'call'
    AND (b.id IS NOT NULL OR EXISTS (SELECT FROM callctl.known_before AS k WHERE k.step = 12))
  FOR NO KEY UPDATE OF c
), saved AS (
  INSERT INTO callctl.saved_value (chatbot_id, field, saved_by, value, left_there)
  SELECT id, 'settings.call', 'down', held, goes_back
  FROM found
  -- The defaults of a call-enabled chatbot return by themselves if it had no call settings.
  WHERE NOT (enabled_call AND COALESCE(goes_back, '{}') IN ('{}', 'null') AND COALESCE(held, '{}') = callctl.default_call_settings())
  ON CONFLICT (relation, field, saved_by, row_id) WHERE superseded_at IS NULL
  DO UPDATE SET value = EXCLUDED.value, left_there = EXCLUDED.left_there, saved_at = now()
)
UPDATE chatapp.chatbots AS c SET settings = callctl.without_call_settings(found.settings, found.before)
FROM found WHERE c.id = found.id;
