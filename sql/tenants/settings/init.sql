-- The documented defaults for some call-enabled chatbots that have no call settings, in the order of their ids; everything else
-- in their settings stays. The earlier value is saved, as step 12 does, so that migrate down restores it.
-- %(above)s: the last id that is done, or NULL; %(limit)s. Of each chatbot: whether its settings are stored as they were meant,
-- which a trigger may have prevented; and what they are.
WITH found AS (
  SELECT c.id, c.settings FROM chatapp.chatbots AS c
  WHERE c.enabled_call AND COALESCE(c.settings -> 'call', '{}') IN ('{}', 'null')
    AND COALESCE(jsonb_typeof(c.settings), 'object') = 'object'
    AND (%(above)s::uuid IS NULL OR c.id > %(above)s::uuid)
  ORDER BY c.id
  LIMIT %(limit)s
  FOR NO KEY UPDATE
), meant AS (
  SELECT id, jsonb_set(COALESCE(settings, '{}'), '{call}', callctl.default_call_settings()) AS settings FROM found
), saved AS (
  INSERT INTO callctl.saved_value (chatbot_id, field, saved_by, value)
  SELECT id, 'settings.call', 'up',
         CASE WHEN settings IS NULL THEN '{"settings": "absent"}' ELSE jsonb_build_object('call', settings -> 'call') END
  FROM found
  WHERE settings IS NULL OR settings -> 'call' IS NOT NULL
  ON CONFLICT (relation, field, saved_by, row_id) WHERE superseded_at IS NULL DO NOTHING
), written AS (
  UPDATE chatapp.chatbots AS c SET settings = meant.settings FROM meant WHERE c.id = meant.id
  RETURNING c.id, c.settings IS NOT DISTINCT FROM meant.settings AS stored, c.settings::text AS settings
)
SELECT meant.id::text, COALESCE(written.stored, false) AS stored, written.settings
FROM meant LEFT JOIN written ON written.id = meant.id;
