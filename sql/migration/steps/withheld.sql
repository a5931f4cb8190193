-- The models that step 6 makes available, by key, and whether they are in the table: inactive there, or in callctl's schema.
-- A role that may not read the models is told of those that were changed since as well.
SELECT w.contents ->> {key_name} AS key, true AS inserted
FROM callctl.withheld_model AS w
WHERE CASE WHEN has_table_privilege({table}::regclass, 'SELECT') THEN callctl.is_as_left({table}::regclass, w.model_id) ELSE true END
UNION ALL
SELECT r.contents ->> {key_name}, false
FROM callctl.saved_row AS r
WHERE r.relation = 'ai_models' AND r.superseded_at IS NULL
  AND (SELECT h.direction FROM callctl.history AS h WHERE h.step = 13 ORDER BY h.id DESC LIMIT 1) = 'up'
ORDER BY key
