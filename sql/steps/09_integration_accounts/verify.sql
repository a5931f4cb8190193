-- Step 9: what is true once it is done.

-- check: integration-accounts-columns: integration_accounts has its documented columns, types, nullability and defaults
SELECT wanted.name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull, pg_get_expr(d.adbin, d.adrelid) AS default
FROM (VALUES
  ('id', 'uuid', true, 'gen_random_uuid()'),
  ('company_id', 'uuid', true, NULL),
  ('account_type', 'character varying(50)', true, NULL),
  ('account_name', 'character varying(255)', true, NULL),
  ('description', 'text', false, NULL),
  ('credentials', 'jsonb', true, NULL),
  ('access_token', 'text', false, NULL),
  ('refresh_token', 'text', false, NULL),
  ('token_expires_at', 'timestamp with time zone', false, NULL),
  ('webhook_url', 'character varying(500)', false, NULL),
  ('webhook_secret', 'character varying(255)', false, NULL),
  ('status', 'character varying(50)', true, '''active''::character varying'),
  ('is_active', 'boolean', true, 'true'),
  ('last_error', 'text', false, NULL),
  ('last_error_at', 'timestamp with time zone', false, NULL),
  ('last_verified_at', 'timestamp with time zone', false, NULL),
  ('created_at', 'timestamp with time zone', true, 'now()'),
  ('updated_at', 'timestamp with time zone', true, 'now()'),
  ('deleted_at', 'timestamp with time zone', false, NULL)
) AS wanted (name, type, not_null, expression)
LEFT JOIN pg_class AS r ON r.relname = 'integration_accounts' AND r.relnamespace = 'chatapp'::regnamespace
LEFT JOIN pg_attribute AS a ON a.attrelid = r.oid AND a.attname = wanted.name AND NOT a.attisdropped
LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE format_type(a.atttypid, a.atttypmod) IS DISTINCT FROM wanted.type
   OR a.attnotnull IS DISTINCT FROM wanted.not_null
   OR replace(pg_get_expr(d.adbin, d.adrelid), 'public.', '') IS DISTINCT FROM wanted.expression;
