-- Step 12, back: both settings paths get what stood there before up, or nothing where nothing stood, containers included.
-- Every other key stays as the application left it. What the paths held is saved for the next up.
-- Specification: L2341-2353, L2704-2716 (which forget the values).

-- callctl: batched
WITH found AS (
  SELECT c.id, c.settings #> '{features,callEnabled}' AS held, c.settings, b.value AS before,
         CASE WHEN jsonb_typeof(b.value -> 'callEnabled') = 'boolean' THEN b.value -> 'callEnabled' END AS goes_back
  FROM chatapp.companies AS c
  LEFT JOIN callctl.saved_value AS b
    ON b.relation = 'companies' AND b.field = 'settings.features.callEnabled' AND b.saved_by = 'up' AND b.row_id = c.id
   AND b.superseded_at IS NULL
  WHERE c.settings #> '{features,callEnabled}' IS DISTINCT FROM
        CASE WHEN jsonb_typeof(b.value -> 'callEnabled') = 'boolean' THEN b.value -> 'callEnabled' END
  FOR NO KEY UPDATE OF c
), saved AS (
  INSERT INTO callctl.saved_value (relation, field, saved_by, row_id, value, left_there)
  SELECT 'companies', 'settings.features.callEnabled', 'down', id, held, goes_back
  FROM found
  WHERE held IS DISTINCT FROM COALESCE(goes_back, 'false')
  ON CONFLICT (relation, field, saved_by, row_id) WHERE superseded_at IS NULL
  DO UPDATE SET value = EXCLUDED.value, left_there = EXCLUDED.left_there, saved_at = now()
)
UPDATE chatapp.companies AS c SET settings = callctl.without_call_flag(found.settings, found.before)
FROM found WHERE c.id = found.id;

-- callctl: batched
WITH found AS (
  SELECT c.id, c.settings -> 'call' AS held, c.settings, c.enabled_call, b.value AS before, b.value -> 'call' AS goes_back
  FROM chatapp.chatbots AS c
  LEFT JOIN callctl.saved_value AS b
    ON b.relation = 'chatbots' AND b.field = 'settings.call' AND b.saved_by = 'up' AND b.row_id = c.id
   AND b.superseded_at IS NULL
  WHERE c.settings -> 'call' IS DISTINCT FROM b.value -> 'call'
  FOR NO KEY UPDATE OF c
), saved AS (
  INSERT INTO callctl.saved_value (relation, field, saved_by, row_id, value, left_there)
  SELECT 'chatbots', 'settings.call', 'down', id, held, goes_back
  FROM found
  -- The defaults of a call-enabled chatbot come back by themselves where nothing stood.
  WHERE NOT (enabled_call AND COALESCE(goes_back, '{}') IN ('{}', 'null') AND COALESCE(held, '{}') = callctl.default_call_settings())
  ON CONFLICT (relation, field, saved_by, row_id) WHERE superseded_at IS NULL
  DO UPDATE SET value = EXCLUDED.value, left_there = EXCLUDED.left_there, saved_at = now()
)
UPDATE chatapp.chatbots AS c SET settings = callctl.without_call_settings(found.settings, found.before)
FROM found WHERE c.id = found.id;

DELETE FROM callctl.saved_value
WHERE ((relation = 'companies' AND field = 'settings.features.callEnabled')
    OR (relation = 'chatbots' AND field = 'settings.call'))
  AND saved_by = 'up';
