-- finding: model-columns
-- steps: 7, 13
-- ok: the columns of ai_models that hold the call models have suitable types, and the catalog fills every
--      required one
-- why: step 7 uses an existing column as it is and adds only missing ones; step 13 inserts three models,
--      and an unknown required column stops it
-- do: change the column's type, give the unknown column a default, or add the missing label to the enum

-- needs: chatapp.ai_models
SELECT
    'blocks' AS level,
    format('%s.%I is %s; it should be %s', c.oid::regclass, a.attname, format_type(a.atttypid, a.atttypmod),
           array_to_string(t.wanted, ' or ')) AS what,
    format('%s.%I', c.oid::regclass, a.attname) AS object
FROM (VALUES
    ('chatapp.ai_models'::regclass, 'supports_audio'::name, ARRAY['bool']),
    ('chatapp.ai_models'::regclass, 'input_cost_per_token'::name, ARRAY['numeric']),
    ('chatapp.ai_models'::regclass, 'output_cost_per_token'::name, ARRAY['numeric']),
    ('chatapp.ai_models'::regclass, 'audio_cost_per_second_input'::name, ARRAY['numeric']),
    ('chatapp.ai_models'::regclass, 'audio_cost_per_second_output'::name, ARRAY['numeric']),
    ('chatapp.ai_models'::regclass, 'context_window'::name, ARRAY['int4', 'int8']),
    ('chatapp.ai_models'::regclass, 'max_output_tokens'::name, ARRAY['int4', 'int8'])
) AS t(relation, col, wanted)
JOIN pg_catalog.pg_class AS c ON c.oid = t.relation
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attname = t.col AND NOT a.attisdropped
JOIN pg_catalog.pg_type AS y ON y.oid = a.atttypid
WHERE y.typname <> ALL (t.wanted);

-- needs: chatapp.ai_models
SELECT
    'blocks' AS level,
    format('%s.%I is required, has no default, and is nothing that callctl knows how to fill', c.oid::regclass, a.attname)
        AS what,
    format('%s.%I', c.oid::regclass, a.attname) AS object,
    ARRAY[13] AS steps
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.oid = 'chatapp.ai_models'::regclass
  AND a.attnotnull AND NOT a.atthasdef AND a.attidentity = ''
  AND a.attname NOT IN (
      'provider'::name, 'model_name'::name, 'model_type'::name, 'display_name'::name, 'description'::name,
      'supports_audio'::name, 'input_cost_per_token'::name, 'output_cost_per_token'::name,
      'audio_cost_per_second_input'::name, 'audio_cost_per_second_output'::name,
      'context_window'::name, 'max_output_tokens'::name
  );

SELECT
    'blocks' AS level,
    format('the enum %s of %s.provider has no label %L', y.oid::regtype, c.oid::regclass, v.label) AS what,
    y.oid::regtype::text AS object,
    ARRAY[13] AS steps
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'provider' AND NOT a.attisdropped
JOIN pg_catalog.pg_type AS y ON y.oid = a.atttypid AND y.typtype = 'e'
CROSS JOIN (VALUES ('openai'), ('google')) AS v(label)
WHERE c.relname = 'ai_models' AND c.relnamespace = 'chatapp'::regnamespace
  AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_enum AS e WHERE e.enumtypid = y.oid AND e.enumlabel = v.label);
