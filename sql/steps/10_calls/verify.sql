-- Step 10: what is true once it is done.

-- check: calls-columns: calls has its documented columns, types, nullability and defaults
SELECT wanted.name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull, pg_get_expr(d.adbin, d.adrelid) AS default
FROM (VALUES
  ('id', 'uuid', true, 'gen_random_uuid()'),
  ('company_id', 'uuid', true, NULL),
  ('chatbot_id', 'uuid', true, NULL),
  ('end_user_id', 'uuid', false, NULL),
  ('conversation_id', 'uuid', false, NULL),
  ('call_sid', 'character varying(255)', false, NULL),
  ('source', 'character varying(50)', true, NULL),
  ('direction', 'character varying(20)', true, NULL),
  ('status', 'character varying(50)', true, '''pending''::character varying'),
  ('from_number', 'character varying(50)', false, NULL),
  ('to_number', 'character varying(50)', false, NULL),
  ('duration', 'integer', false, NULL),
  ('recording_url', 'character varying(500)', false, NULL),
  ('transcript_url', 'character varying(500)', false, NULL),
  ('ai_provider', 'character varying(50)', false, NULL),
  ('model_id', 'character varying(100)', false, NULL),
  ('integration_account_id', 'uuid', false, NULL),
  ('summary', 'text', false, NULL),
  ('notes', 'text', false, NULL),
  ('call_quality', 'integer', false, NULL),
  ('sentiment_score', 'integer', false, NULL),
  ('error_message', 'text', false, NULL),
  ('error_code', 'character varying(50)', false, NULL),
  ('started_at', 'timestamp with time zone', false, NULL),
  ('answered_at', 'timestamp with time zone', false, NULL),
  ('ended_at', 'timestamp with time zone', false, NULL),
  ('created_at', 'timestamp with time zone', true, 'now()'),
  ('updated_at', 'timestamp with time zone', true, 'now()'),
  ('deleted_at', 'timestamp with time zone', false, NULL)
) AS wanted (name, type, not_null, expression)
LEFT JOIN pg_class AS r ON r.relname = 'calls' AND r.relnamespace = 'chatapp'::regnamespace
LEFT JOIN pg_attribute AS a ON a.attrelid = r.oid AND a.attname = wanted.name AND NOT a.attisdropped
LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE format_type(a.atttypid, a.atttypmod) IS DISTINCT FROM wanted.type
   OR a.attnotnull IS DISTINCT FROM wanted.not_null
   OR replace(pg_get_expr(d.adbin, d.adrelid), 'public.', '') IS DISTINCT FROM wanted.expression;
