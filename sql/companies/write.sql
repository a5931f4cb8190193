-- Write features.callEnabled of locked companies; everything else in their settings stays. Where a container is missing, it is
-- saved that it was, as step 12 does, so that a way down takes it out again.
-- %(ids)s, %(enabled)s. Returns what then stands there: a trigger may have had its own way.
WITH found AS (
  SELECT c.id, c.settings FROM chatapp.companies AS c WHERE c.id = ANY (%(ids)s::uuid[])
), saved AS (
  INSERT INTO callctl.saved_value (company_id, field, saved_by, value)
  SELECT id, 'settings.features.callEnabled', 'up', callctl.call_flag_before(settings)
  FROM found
  WHERE COALESCE(settings -> 'features', 'null') = 'null'
  ON CONFLICT (relation, field, saved_by, row_id) WHERE superseded_at IS NULL DO NOTHING
)
UPDATE chatapp.companies AS c SET settings = callctl.with_call_flag(found.settings, to_jsonb(%(enabled)s::boolean))
FROM found WHERE c.id = found.id
RETURNING c.id::text, COALESCE(c.settings #> '{features,callEnabled}' = to_jsonb(%(enabled)s::boolean), false);
