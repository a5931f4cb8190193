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
