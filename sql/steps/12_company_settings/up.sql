-- Step 12: companies.settings.features.callEnabled = false where it is absent, soft-deleted companies too; then the default
-- settings.call for every call-enabled chatbot that has none. What is set already stays: a re-run never switches a pilot off.
-- Specification: sections 8 and 9. What stood at both paths before is saved, so that down can put it back exactly; where
-- nothing is saved, nothing stood there, inside a container that was there.

-- callctl: batched
INSERT INTO callctl.saved_value (relation, field, saved_by, row_id, value)
SELECT 'companies', 'settings.features.callEnabled', 'up', id, callctl.call_flag_before(settings)
FROM chatapp.companies
WHERE jsonb_typeof(settings #> '{features,callEnabled}') = 'boolean'
ON CONFLICT (relation, field, saved_by, row_id) WHERE superseded_at IS NULL DO NOTHING;

-- The application is writing all along: a company made, settings replaced as a whole or a chatbot enabled behind the batches.
-- Such rows get the same beside the verify, so that a run that fails on a later one succeeds when it is repeated.
-- callctl: batched, again
WITH found AS (
  SELECT id, settings FROM chatapp.companies
  WHERE settings #> '{features,callEnabled}' IS NULL
  FOR NO KEY UPDATE
), saved AS (
  INSERT INTO callctl.saved_value (relation, field, saved_by, row_id, value)
  SELECT 'companies', 'settings.features.callEnabled', 'up', id, callctl.call_flag_before(settings)
  FROM found
  WHERE coalesce(settings -> 'features', 'null') = 'null'
  ON CONFLICT (relation, field, saved_by, row_id) WHERE superseded_at IS NULL DO NOTHING
)
UPDATE chatapp.companies AS c SET settings = callctl.with_call_flag(found.settings, 'false')
FROM found WHERE c.id = found.id;

-- Flags that an earlier down took away come back, where nobody has written another since.
-- callctl: batched
WITH kept AS (
  SELECT s.row_id, s.value, s.left_there, b.value -> 'callEnabled' AS before
  FROM callctl.saved_value AS s
  LEFT JOIN callctl.saved_value AS b
    ON b.relation = s.relation AND b.field = s.field AND b.saved_by = 'up' AND b.row_id = s.row_id
   AND b.superseded_at IS NULL
  WHERE s.relation = 'companies' AND s.field = 'settings.features.callEnabled' AND s.saved_by = 'down'
    AND s.superseded_at IS NULL
  FOR UPDATE OF s
)
UPDATE chatapp.companies AS c SET settings = callctl.with_call_flag(c.settings, COALESCE(kept.value, 'false'))
FROM kept
WHERE c.id = kept.row_id
  AND jsonb_typeof(COALESCE(kept.value, 'false')) = 'boolean'
  AND CASE WHEN jsonb_typeof(kept.before) = 'boolean' THEN kept.before END IS NOT DISTINCT FROM kept.left_there
  AND c.settings #> '{features,callEnabled}' = COALESCE(kept.left_there, 'false');

UPDATE callctl.saved_value AS s SET superseded_at = now()
WHERE s.relation = 'companies' AND s.field = 'settings.features.callEnabled' AND s.saved_by = 'down'
  AND s.superseded_at IS NULL
  AND NOT EXISTS (
    SELECT FROM chatapp.companies AS c
    WHERE c.id = s.row_id AND c.settings #> '{features,callEnabled}' = COALESCE(s.value, 'false'));

-- NULL settings are saved as well: the application may put call settings into them, and down takes the container out again.
-- callctl: batched
INSERT INTO callctl.saved_value (relation, field, saved_by, row_id, value)
SELECT 'chatbots', 'settings.call', 'up', id,
       CASE WHEN settings IS NULL THEN '{"settings": "absent"}' ELSE jsonb_build_object('call', settings -> 'call') END
FROM chatapp.chatbots
WHERE settings IS NULL OR settings -> 'call' IS NOT NULL
ON CONFLICT (relation, field, saved_by, row_id) WHERE superseded_at IS NULL DO NOTHING;

-- callctl: batched, again
WITH found AS (
  SELECT id, settings FROM chatapp.chatbots
  WHERE enabled_call AND COALESCE(settings -> 'call', '{}') IN ('{}', 'null')
  FOR NO KEY UPDATE
), saved AS (
  INSERT INTO callctl.saved_value (relation, field, saved_by, row_id, value)
  SELECT 'chatbots', 'settings.call', 'up', id,
         CASE WHEN settings IS NULL THEN '{"settings": "absent"}' ELSE jsonb_build_object('call', settings -> 'call') END
  FROM found
  WHERE settings IS NULL OR settings -> 'call' IS NOT NULL
  ON CONFLICT (relation, field, saved_by, row_id) WHERE superseded_at IS NULL DO NOTHING
)
UPDATE chatapp.chatbots AS c SET settings = jsonb_set(COALESCE(found.settings, '{}'), '{call}', callctl.default_call_settings())
FROM found WHERE c.id = found.id;

-- Call settings that an earlier down took away come back, where nobody has written others since. A call-enabled chatbot
-- is never without: where it had been left with none, it gets the defaults.
-- callctl: batched
WITH kept AS (
  SELECT s.row_id, s.value, s.left_there, b.value -> 'call' AS before
  FROM callctl.saved_value AS s
  LEFT JOIN callctl.saved_value AS b
    ON b.relation = s.relation AND b.field = s.field AND b.saved_by = 'up' AND b.row_id = s.row_id
   AND b.superseded_at IS NULL
  WHERE s.relation = 'chatbots' AND s.field = 'settings.call' AND s.saved_by = 'down' AND s.superseded_at IS NULL
  FOR UPDATE OF s
), noted AS (
  INSERT INTO callctl.saved_value (relation, field, saved_by, row_id, value)
  SELECT 'chatbots', 'settings.call', 'up', c.id, '{"settings": "absent"}'
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
  AND kept.before IS NOT DISTINCT FROM kept.left_there
  AND (c.settings -> 'call' IS NOT DISTINCT FROM kept.before OR c.settings -> 'call' = callctl.default_call_settings())
  AND c.settings -> 'call' IS DISTINCT FROM kept.value;

UPDATE callctl.saved_value AS s SET superseded_at = now()
WHERE s.relation = 'chatbots' AND s.field = 'settings.call' AND s.saved_by = 'down' AND s.superseded_at IS NULL
  AND NOT EXISTS (
    SELECT FROM chatapp.chatbots AS c
    WHERE c.id = s.row_id
      AND (c.settings -> 'call' IS NOT DISTINCT FROM s.value
           OR c.settings -> 'call' = callctl.default_call_settings() AND COALESCE(s.value, '{}') IN ('{}', 'null')));

DELETE FROM callctl.saved_value
WHERE ((relation = 'companies' AND field = 'settings.features.callEnabled')
    OR (relation = 'chatbots' AND field = 'settings.call'))
  AND saved_by = 'down' AND superseded_at IS NULL;
