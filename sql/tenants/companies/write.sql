-- Write features.callEnabled of locked companies; everything else in their settings stays. If a container is missing, it is
-- saved that it was, as step 12 does, so that a way down takes it out again.
-- %(ids)s, %(enabled)s. Of each company: whether its settings are stored as they were meant, which a trigger may have prevented;
-- and what they are.
WITH found AS (
  SELECT c.id, c.settings FROM chatapp.companies AS c WHERE c.id = ANY (%(ids)s::uuid[])
), meant AS (
  SELECT id, callctl.with_call_flag(settings, to_jsonb(%(enabled)s::boolean)) AS settings FROM found
), saved AS (
  INSERT INTO callctl.saved_value (company_id, field, saved_by, value)
  SELECT id, 'settings.features.callEnabled', 'up', callctl.call_flag_before(settings)
  FROM found
  WHERE COALESCE(settings -> 'features', 'null') = 'null'
  ON CONFLICT (relation, field, saved_by, row_id) WHERE superseded_at IS NULL DO NOTHING
), written AS (
  UPDATE chatapp.companies AS c SET settings = meant.settings FROM meant WHERE c.id = meant.id
  RETURNING c.id, c.settings IS NOT DISTINCT FROM meant.settings AS stored, c.settings::text AS settings
)
SELECT meant.id::text, COALESCE(written.stored, false) AS stored, written.settings
FROM meant LEFT JOIN written ON written.id = meant.id;
