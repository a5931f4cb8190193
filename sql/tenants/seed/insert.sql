-- A model, and that callctl inserted it: step 13 puts it away on the way down, and brings it back.
WITH added AS (
  INSERT INTO {models} (id, {columns}) VALUES (gen_random_uuid(), {values}) RETURNING id
), noted AS (
  INSERT INTO callctl.made (step, kind, relation, name) SELECT 13, 'row', 'ai_models', id::text FROM added
)
SELECT id::text FROM added
