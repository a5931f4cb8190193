-- Step 11: what is true once it is done.

-- check: call-transcripts-columns: call_transcripts has its documented columns, types, nullability and defaults
SELECT wanted.name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull, pg_get_expr(d.adbin, d.adrelid) AS default
FROM (VALUES
  ('id', 'uuid', true, 'gen_random_uuid()'),
  ('call_id', 'uuid', true, NULL),
  ('role', 'character varying(20)', true, NULL),
  ('content', 'text', true, NULL),
  ('start_time', 'integer', true, NULL),
  ('end_time', 'integer', true, NULL),
  ('duration', 'integer', true, NULL),
  ('audio_url', 'character varying(500)', false, NULL),
  ('confidence', 'numeric(5,4)', false, NULL),
  ('metadata', 'jsonb', false, NULL),
  ('created_at', 'timestamp with time zone', true, 'now()')
) AS wanted (name, type, not_null, expression)
LEFT JOIN pg_class AS r ON r.relname = 'call_transcripts' AND r.relnamespace = 'chatapp'::regnamespace
LEFT JOIN pg_attribute AS a ON a.attrelid = r.oid AND a.attname = wanted.name AND NOT a.attisdropped
LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE format_type(a.atttypid, a.atttypmod) IS DISTINCT FROM wanted.type
   OR a.attnotnull IS DISTINCT FROM wanted.not_null
   OR replace(pg_get_expr(d.adbin, d.adrelid), 'public.', '') IS DISTINCT FROM wanted.expression;

-- check: call-transcripts-constraints: call_transcripts has its keys, references and CHECKs, all validated
SELECT wanted.name, pg_get_constraintdef(k.oid) AS definition, k.convalidated
FROM (VALUES
  ('call_transcripts_pkey', 'PRIMARY KEY (id)'),
  ('call_transcripts_call_id_fkey', 'FOREIGN KEY (call_id) REFERENCES calls(id) ON DELETE CASCADE'),
  ('call_transcripts_confidence_check', 'CHECK (((confidence >= 0.0) AND (confidence <= 1.0)))'),
  ('call_transcripts_content_check', 'CHECK ((content <> ''''::text))'),
  ('call_transcripts_duration_check', 'CHECK ((duration = (end_time - start_time)))'),
  ('call_transcripts_role_check', 'CHECK (((role)::text = ANY ((ARRAY[''user''::character varying, ''assistant''::character varying, ''system''::character varying])::text[])))'),
  ('call_transcripts_time_check', 'CHECK ((end_time > start_time))')
) AS wanted (name, definition)
LEFT JOIN pg_class AS r ON r.relname = 'call_transcripts' AND r.relnamespace = 'chatapp'::regnamespace
LEFT JOIN pg_namespace AS n ON n.oid = r.relnamespace
LEFT JOIN pg_constraint AS k ON k.conrelid = r.oid AND k.conname = wanted.name
WHERE NOT COALESCE(k.convalidated, false)
   OR replace(pg_get_constraintdef(k.oid), format('REFERENCES %I.', n.nspname), 'REFERENCES ') IS DISTINCT FROM wanted.definition;

-- check: call-transcripts-indexes: call_transcripts has its documented indexes, all valid
SELECT wanted.name, pg_get_indexdef(i.indexrelid) AS definition, i.indisvalid
FROM (VALUES
  ('idx_call_transcripts_call_id', 'CREATE INDEX idx_call_transcripts_call_id ON call_transcripts USING btree (call_id, start_time)'),
  ('idx_call_transcripts_content_search', 'CREATE INDEX idx_call_transcripts_content_search ON call_transcripts USING gin (to_tsvector(''english''::regconfig, content))'),
  ('idx_call_transcripts_role', 'CREATE INDEX idx_call_transcripts_role ON call_transcripts USING btree (call_id, role)')
) AS wanted (name, definition)
LEFT JOIN pg_namespace AS n ON n.oid = 'chatapp'::regnamespace
LEFT JOIN pg_class AS c ON c.relname = wanted.name AND c.relnamespace = n.oid
LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
WHERE NOT COALESCE(i.indisvalid AND i.indisready, false)
   OR replace(pg_get_indexdef(i.indexrelid), format(' ON %I.', n.nspname), ' ON ') IS DISTINCT FROM wanted.definition;
