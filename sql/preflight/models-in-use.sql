-- finding: models-in-use
-- steps: 13
-- direction: down
-- ok: no row uses the models that callctl inserted
-- why: a row that a foreign key refers to cannot be deleted without breaking the row that uses it
-- do: give those rows another model first, then run migrate down again

-- needs: callctl.made, chatapp.ai_models
SELECT
    'blocks' AS level,
    format('model %s (id %s) is used by %s rows of %s (%s)', t.model_name, m.name, u.referring_rows, u.referring_table,
           u.constraint_name) AS what,
    m.name AS object
FROM callctl.made AS m
JOIN chatapp.ai_models AS t ON t.id::text = m.name
CROSS JOIN LATERAL callctl.rows_referring_to('chatapp.ai_models'::regclass, m.name::uuid) AS u
WHERE m.kind = 'row' AND m.relation = 'ai_models';
