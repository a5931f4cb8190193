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

-- check: integration-accounts-constraints: integration_accounts has its keys, references and CHECKs, all validated
SELECT wanted.name, pg_get_constraintdef(k.oid) AS definition, k.convalidated
FROM (VALUES
  ('integration_accounts_webhook_url_key', 'UNIQUE (webhook_url)'),
  ('integration_accounts_pkey', 'PRIMARY KEY (id)'),
  ('integration_accounts_company_id_fkey', 'FOREIGN KEY (company_id) REFERENCES companies(id) ON DELETE CASCADE'),
  ('integration_accounts_account_type_check', 'CHECK (((account_type)::text = ANY ((ARRAY[''twilio''::character varying, ''whatsapp''::character varying, ''custom''::character varying])::text[])))'),
  ('integration_accounts_status_check', 'CHECK (((status)::text = ANY ((ARRAY[''active''::character varying, ''inactive''::character varying, ''error''::character varying, ''pending''::character varying])::text[])))')
) AS wanted (name, definition)
LEFT JOIN pg_class AS r ON r.relname = 'integration_accounts' AND r.relnamespace = 'chatapp'::regnamespace
LEFT JOIN pg_namespace AS n ON n.oid = r.relnamespace
LEFT JOIN pg_constraint AS k ON k.conrelid = r.oid AND k.conname = wanted.name
WHERE NOT COALESCE(k.convalidated, false)
   OR replace(pg_get_constraintdef(k.oid), format('REFERENCES %I.', n.nspname), 'REFERENCES ') IS DISTINCT FROM wanted.definition;

-- check: integration-accounts-indexes: integration_accounts has its documented indexes, all valid
SELECT wanted.name, pg_get_indexdef(i.indexrelid) AS definition, i.indisvalid
FROM (VALUES
  ('idx_integration_accounts_account_type', 'CREATE INDEX idx_integration_accounts_account_type ON integration_accounts USING btree (account_type, company_id) WHERE (deleted_at IS NULL)'),
  ('idx_integration_accounts_company_id', 'CREATE INDEX idx_integration_accounts_company_id ON integration_accounts USING btree (company_id) WHERE (deleted_at IS NULL)'),
  ('idx_integration_accounts_status', 'CREATE INDEX idx_integration_accounts_status ON integration_accounts USING btree (status) WHERE ((deleted_at IS NULL) AND ((status)::text = ''error''::text))'),
  ('idx_integration_accounts_webhook_url', 'CREATE UNIQUE INDEX idx_integration_accounts_webhook_url ON integration_accounts USING btree (webhook_url) WHERE ((deleted_at IS NULL) AND (webhook_url IS NOT NULL))')
) AS wanted (name, definition)
LEFT JOIN pg_namespace AS n ON n.oid = 'chatapp'::regnamespace
LEFT JOIN pg_class AS c ON c.relname = wanted.name AND c.relnamespace = n.oid
LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
WHERE NOT COALESCE(i.indisvalid AND i.indisready, false)
   OR replace(pg_get_indexdef(i.indexrelid), format(' ON %I.', n.nspname), ' ON ') IS DISTINCT FROM wanted.definition;

-- check: integration-accounts-touched: a trigger keeps integration_accounts.updated_at
SELECT 'update_integration_accounts_updated_at' AS trigger
WHERE NOT EXISTS (
  SELECT FROM pg_trigger AS t
  JOIN pg_class AS r ON r.oid = t.tgrelid
  JOIN pg_proc AS p ON p.oid = t.tgfoid
  WHERE r.relname = 'integration_accounts' AND r.relnamespace = 'chatapp'::regnamespace
    AND t.tgname = 'update_integration_accounts_updated_at' AND t.tgenabled = 'O' AND t.tgtype = 19
    AND p.proname = 'update_updated_at_column' AND p.pronamespace = r.relnamespace);
