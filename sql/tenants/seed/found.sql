-- The models of some keys: id, key, whether it is there for customers, whether callctl inserted it, and the columns that a
-- catalog can fill, as text. The soft-delete column may be absent, and columns may have other names: those are put in.
-- A model may wait for step 6 in callctl's schema: it is in none of the platform's tables then, and is as it will be inserted.
SELECT t.id::text, t.{key}::text, {live},
       EXISTS (SELECT FROM callctl.made AS r WHERE r.kind = 'row' AND r.relation = 'ai_models' AND r.name = t.id::text),
       {columns}
FROM (
  SELECT m.* FROM {models} AS m
  UNION ALL
  SELECT w.* FROM callctl.saved_row AS r, jsonb_populate_record(NULL::{models}, r.contents) AS w
  WHERE r.relation = 'ai_models' AND r.superseded_at IS NULL
    AND NOT EXISTS (SELECT FROM {models} AS m WHERE m.id = w.id OR m.{key} = w.{key})
) AS t
WHERE t.{key}::text = ANY (%(keys)s)
ORDER BY t.id
