-- Step 12: companies.settings.features.callEnabled = false where it is absent, soft-deleted companies too; then the default
-- settings.call for every call-enabled chatbot that has none. What is set already stays: a re-run never switches a pilot off.
-- Specification: sections 8 and 9. Where a container is missing, it is saved that it was, for down to take it out again.

-- The application is writing all along: a company made, settings replaced as a whole or a chatbot enabled behind the batches.
-- Such rows get the same beside the verify, so that a run that fails on a later one succeeds when it is repeated.
-- callctl: batched, again
WITH found AS (
  SELECT id, settings FROM chatapp.companies
  WHERE settings #> '{features,callEnabled}' IS NULL
  FOR NO KEY UPDATE
), saved AS (
  INSERT INTO callctl.saved_value (company_id, field, saved_by, value)
  SELECT id, 'settings.features.callEnabled', 'up', callctl.call_flag_before(settings)
  FROM found
  WHERE coalesce(settings -> 'features', 'null') = 'null'
  ON CONFLICT (relation, field, saved_by, row_id) WHERE superseded_at IS NULL DO NOTHING
)
UPDATE chatapp.companies AS c SET settings = callctl.with_call_flag(found.settings, 'false')
FROM found WHERE c.id = found.id;

-- callctl: batched, again
WITH found AS (
  SELECT id, settings FROM chatapp.chatbots
  WHERE enabled_call AND COALESCE(settings -> 'call', '{}') IN ('{}', 'null')
  FOR NO KEY UPDATE
), saved AS (
  INSERT INTO callctl.saved_value (chatbot_id, field, saved_by, value)
  SELECT id, 'settings.call', 'up',
         CASE WHEN settings IS NULL THEN '{"settings": "absent"}' ELSE jsonb_build_object('call', settings -> 'call') END
  FROM found
  WHERE settings IS NULL OR settings -> 'call' IS NOT NULL
  ON CONFLICT (relation, field, saved_by, row_id) WHERE superseded_at IS NULL DO NOTHING
)
UPDATE chatapp.chatbots AS c SET settings = jsonb_set(COALESCE(found.settings, '{}'), '{call}', callctl.default_call_settings())
FROM found WHERE c.id = found.id;
