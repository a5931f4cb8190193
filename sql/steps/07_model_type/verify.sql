-- Step 7: what is true once it is done.

-- check: model-type-column: ai_models.model_type is varchar(20), NOT NULL, default 'chat'
SELECT wanted.name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull, pg_get_expr(d.adbin, d.adrelid) AS default
FROM (VALUES ('chatapp.ai_models'::regclass, 'model_type')) AS wanted (relation, name)
LEFT JOIN pg_attribute AS a ON a.attrelid = wanted.relation AND a.attname = wanted.name AND NOT a.attisdropped
LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE format_type(a.atttypid, a.atttypmod) IS DISTINCT FROM 'character varying(20)'
   OR NOT a.attnotnull
   OR pg_get_expr(d.adbin, d.adrelid) IS DISTINCT FROM '''chat''::character varying';

-- check: model-type-check: model_type is chat, call or both, by a validated CHECK
SELECT wanted.name, pg_get_constraintdef(k.oid) AS definition
FROM (VALUES ('chatapp.ai_models'::regclass, 'ai_models_model_type_check')) AS wanted (relation, name)
LEFT JOIN pg_constraint AS k ON k.conrelid = wanted.relation AND k.conname = wanted.name AND k.contype = 'c'
WHERE NOT COALESCE(k.convalidated, false)
   OR pg_get_constraintdef(k.oid) NOT LIKE 'CHECK (((model_type)::text = ANY (%''chat''%''call''%''both''%)))';

-- check: model-type-index: idx_ai_models_model_type is there, valid, on live rows only
SELECT wanted.name, pg_get_indexdef(i.indexrelid) AS definition, i.indisvalid
FROM (VALUES ('chatapp.ai_models'::regclass, 'deletedat'::name, 'idx_ai_models_model_type', 'model_type, provider')
) AS wanted (relation, soft_delete, name, columns)
JOIN pg_class AS r ON r.oid = wanted.relation
JOIN pg_namespace AS n ON n.oid = r.relnamespace
LEFT JOIN pg_class AS c ON c.relname = wanted.name AND c.relnamespace = n.oid
LEFT JOIN pg_index AS i ON i.indexrelid = c.oid AND i.indrelid = r.oid
WHERE NOT COALESCE(i.indisvalid AND i.indisready, false)
   OR pg_get_indexdef(i.indexrelid) IS DISTINCT FROM
      format('CREATE INDEX %I ON %I.%I USING btree (%s)', wanted.name, n.nspname, r.relname, wanted.columns)
      || COALESCE(' WHERE (' || quote_ident(wanted.soft_delete) || ' IS NULL)', '');

-- check: model-seed-columns: ai_models has a column for everything the catalogue says of a model
SELECT wanted.name
FROM (VALUES
  ('chatapp.ai_models'::regclass, 'model_name'::name),
  ('chatapp.ai_models'::regclass, 'display_name'::name),
  ('chatapp.ai_models'::regclass, 'description'::name),
  ('chatapp.ai_models'::regclass, 'supports_audio'::name),
  ('chatapp.ai_models'::regclass, 'input_cost_per_token'::name),
  ('chatapp.ai_models'::regclass, 'output_cost_per_token'::name),
  ('chatapp.ai_models'::regclass, 'audio_cost_per_second_input'::name),
  ('chatapp.ai_models'::regclass, 'audio_cost_per_second_output'::name),
  ('chatapp.ai_models'::regclass, 'context_window'::name),
  ('chatapp.ai_models'::regclass, 'max_output_tokens'::name)
) AS wanted (relation, name)
WHERE NOT EXISTS (
  SELECT FROM pg_attribute AS a WHERE a.attrelid = wanted.relation AND a.attname = wanted.name AND NOT a.attisdropped);
