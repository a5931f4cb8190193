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

-- check: calls-constraints: calls has its keys, references and CHECKs, all validated
SELECT wanted.name, pg_get_constraintdef(k.oid) AS definition, k.convalidated
FROM (VALUES
  ('calls_call_sid_key', 'UNIQUE (call_sid)'),
  ('calls_pkey', 'PRIMARY KEY (id)'),
  ('calls_chatbot_id_fkey', 'FOREIGN KEY (chatbot_id) REFERENCES chatbots(id) ON DELETE CASCADE'),
  ('calls_company_id_fkey', 'FOREIGN KEY (company_id) REFERENCES companies(id) ON DELETE CASCADE'),
  ('calls_conversation_id_fkey', 'FOREIGN KEY (conversation_id) REFERENCES conversations(id) ON DELETE SET NULL'),
  ('calls_end_user_id_fkey', 'FOREIGN KEY (end_user_id) REFERENCES end_users(id) ON DELETE SET NULL'),
  ('calls_integration_account_id_fkey', 'FOREIGN KEY (integration_account_id) REFERENCES integration_accounts(id) ON DELETE SET NULL'),
  ('calls_ai_provider_check', 'CHECK (((ai_provider)::text = ANY ((ARRAY[''openai''::character varying, ''google''::character varying, ''anthropic''::character varying])::text[])))'),
  ('calls_call_quality_check', 'CHECK (((call_quality >= 1) AND (call_quality <= 5)))'),
  ('calls_direction_check', 'CHECK (((direction)::text = ANY ((ARRAY[''inbound''::character varying, ''outbound''::character varying])::text[])))'),
  ('calls_sentiment_score_check', 'CHECK (((sentiment_score >= ''-100''::integer) AND (sentiment_score <= 100)))'),
  ('calls_source_check', 'CHECK (((source)::text = ANY ((ARRAY[''web''::character varying, ''whatsapp''::character varying, ''twilio''::character varying, ''custom''::character varying])::text[])))'),
  ('calls_status_check', 'CHECK (((status)::text = ANY ((ARRAY[''pending''::character varying, ''ringing''::character varying, ''in_progress''::character varying, ''completed''::character varying, ''failed''::character varying, ''no_answer''::character varying, ''busy''::character varying, ''canceled''::character varying])::text[])))')
) AS wanted (name, definition)
LEFT JOIN pg_class AS r ON r.relname = 'calls' AND r.relnamespace = 'chatapp'::regnamespace
LEFT JOIN pg_namespace AS n ON n.oid = r.relnamespace
LEFT JOIN pg_constraint AS k ON k.conrelid = r.oid AND k.conname = wanted.name
WHERE NOT COALESCE(k.convalidated, false)
   OR replace(pg_get_constraintdef(k.oid), format('REFERENCES %I.', n.nspname), 'REFERENCES ') IS DISTINCT FROM wanted.definition;

-- check: calls-indexes: calls has its documented indexes, all valid
SELECT wanted.name, pg_get_indexdef(i.indexrelid) AS definition, i.indisvalid
FROM (VALUES
  ('idx_calls_call_sid', 'CREATE UNIQUE INDEX idx_calls_call_sid ON calls USING btree (call_sid) WHERE ((deleted_at IS NULL) AND (call_sid IS NOT NULL))'),
  ('idx_calls_chatbot_id', 'CREATE INDEX idx_calls_chatbot_id ON calls USING btree (chatbot_id, created_at DESC) WHERE (deleted_at IS NULL)'),
  ('idx_calls_company_id', 'CREATE INDEX idx_calls_company_id ON calls USING btree (company_id, created_at DESC) WHERE (deleted_at IS NULL)'),
  ('idx_calls_conversation_id', 'CREATE INDEX idx_calls_conversation_id ON calls USING btree (conversation_id) WHERE (deleted_at IS NULL)'),
  ('idx_calls_date_range', 'CREATE INDEX idx_calls_date_range ON calls USING btree (company_id, started_at) WHERE ((deleted_at IS NULL) AND (started_at IS NOT NULL))'),
  ('idx_calls_end_user_id', 'CREATE INDEX idx_calls_end_user_id ON calls USING btree (end_user_id, created_at DESC) WHERE (deleted_at IS NULL)'),
  ('idx_calls_integration_account', 'CREATE INDEX idx_calls_integration_account ON calls USING btree (integration_account_id, created_at DESC) WHERE (deleted_at IS NULL)'),
  ('idx_calls_status', 'CREATE INDEX idx_calls_status ON calls USING btree (status, company_id) WHERE (deleted_at IS NULL)')
) AS wanted (name, definition)
LEFT JOIN pg_namespace AS n ON n.oid = 'chatapp'::regnamespace
LEFT JOIN pg_class AS c ON c.relname = wanted.name AND c.relnamespace = n.oid
LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
WHERE NOT COALESCE(i.indisvalid AND i.indisready, false)
   OR replace(pg_get_indexdef(i.indexrelid), format(' ON %I.', n.nspname), ' ON ') IS DISTINCT FROM wanted.definition;

-- check: calls-touched: a trigger keeps calls.updated_at
SELECT 'update_calls_updated_at' AS trigger
WHERE NOT EXISTS (
  SELECT FROM pg_trigger AS t
  JOIN pg_class AS r ON r.oid = t.tgrelid
  JOIN pg_proc AS p ON p.oid = t.tgfoid
  WHERE r.relname = 'calls' AND r.relnamespace = 'chatapp'::regnamespace
    AND t.tgname = 'update_calls_updated_at' AND t.tgenabled = 'O' AND t.tgtype = 19
    AND p.proname = 'update_updated_at_column' AND p.pronamespace = r.relnamespace);
