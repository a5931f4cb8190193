-- Step 13: the models that can take calls. Generated from models.yaml; a test keeps the two equal.
-- Specification: section 11. Prices are US dollars per token and per audio second; where the table keeps another unit,
-- callctl converts. Models that an earlier down put away return as the same rows.

SELECT callctl.bring_back_rows('chatapp.ai_models'::regclass, 'model_name'::name);

WITH added AS (
  INSERT INTO chatapp.ai_models (
    id,
    provider,
    model_type,
    model_name,
    display_name,
    description,
    supports_audio,
    input_cost_per_token,
    output_cost_per_token,
    audio_cost_per_second_input,
    audio_cost_per_second_output,
    context_window,
    max_output_tokens,
    created_at,
    updated_at
  )
  SELECT
    gen_random_uuid(),
    'openai',
    'call',
    'gpt-4o-realtime-preview-2024-10-01',
    'GPT-4 Realtime (Oct 2024)',
    'OpenAI Realtime API for low-latency voice conversations with natural interruption handling and function calling support',
    true,
    0.000005,
    0.00002,
    0.1,
    0.2,
    128000,
    4096,
    NOW(),
    NOW()
  WHERE NOT EXISTS (SELECT 1 FROM chatapp.ai_models AS m WHERE m.model_name = 'gpt-4o-realtime-preview-2024-10-01')
  RETURNING id
)
INSERT INTO callctl.made (step, kind, relation, name)
SELECT 13, 'row', 'ai_models', id::text FROM added;

WITH added AS (
  INSERT INTO chatapp.ai_models (
    id,
    provider,
    model_type,
    model_name,
    display_name,
    description,
    supports_audio,
    input_cost_per_token,
    output_cost_per_token,
    audio_cost_per_second_input,
    audio_cost_per_second_output,
    context_window,
    max_output_tokens,
    created_at,
    updated_at
  )
  SELECT
    gen_random_uuid(),
    'openai',
    'call',
    'gpt-4o-realtime-preview',
    'GPT-4 Realtime (Latest)',
    'Latest version of OpenAI Realtime API (auto-updates to newest model)',
    true,
    0.000005,
    0.00002,
    0.1,
    0.2,
    128000,
    4096,
    NOW(),
    NOW()
  WHERE NOT EXISTS (SELECT 1 FROM chatapp.ai_models AS m WHERE m.model_name = 'gpt-4o-realtime-preview')
  RETURNING id
)
INSERT INTO callctl.made (step, kind, relation, name)
SELECT 13, 'row', 'ai_models', id::text FROM added;

WITH added AS (
  INSERT INTO chatapp.ai_models (
    id,
    provider,
    model_type,
    model_name,
    display_name,
    description,
    supports_audio,
    input_cost_per_token,
    output_cost_per_token,
    audio_cost_per_second_input,
    audio_cost_per_second_output,
    context_window,
    max_output_tokens,
    created_at,
    updated_at
  )
  SELECT
    gen_random_uuid(),
    'google',
    'call',
    'gemini-2.0-flash-exp',
    'Gemini 2.0 Flash Live (Experimental)',
    'Google experimental multimodal model with real-time voice capabilities and low latency',
    true,
    0.00000075,
    0.000003,
    0.05,
    0.1,
    1000000,
    8192,
    NOW(),
    NOW()
  WHERE NOT EXISTS (SELECT 1 FROM chatapp.ai_models AS m WHERE m.model_name = 'gemini-2.0-flash-exp')
  RETURNING id
)
INSERT INTO callctl.made (step, kind, relation, name)
SELECT 13, 'row', 'ai_models', id::text FROM added;

-- While chatbots has its type column (migrate up --defer-drops) the old application is at work, and must not offer
-- these models: they are inactive, or where the table has no is_active, they wait in callctl.saved_row, until step 6.
SELECT callctl.withhold_model('chatapp.ai_models'::regclass, r.name::uuid)
FROM callctl.made AS r
WHERE r.step = 13 AND r.kind = 'row'
  AND EXISTS (
    SELECT FROM pg_attribute AS a
    WHERE a.attrelid = 'chatapp.chatbots'::regclass AND NOT a.attisdropped
      AND lower(a.attname) IN ('chatbottype', 'chatbot_type'));

-- Where step 7 was adopted, models of these names that take calls were put there by the same migration.
-- callctl: repeatable
INSERT INTO callctl.made (step, kind, relation, name)
SELECT 13, 'row', 'ai_models', m.id::text
FROM chatapp.ai_models AS m
WHERE m.model_name IN ('gpt-4o-realtime-preview-2024-10-01', 'gpt-4o-realtime-preview', 'gemini-2.0-flash-exp') AND m.model_type = 'call'
  AND (SELECT h.adopted FROM callctl.history AS h WHERE h.step = 7 ORDER BY h.id DESC LIMIT 1)
ON CONFLICT (kind, relation, name) DO NOTHING;

-- A model of one of these names that was there before has been a chat model until now; it stays one, and takes calls.
UPDATE chatapp.ai_models AS m SET model_type = 'both'
WHERE m.model_name IN ('gpt-4o-realtime-preview-2024-10-01', 'gpt-4o-realtime-preview', 'gemini-2.0-flash-exp')
  AND m.model_type = 'chat'
  AND NOT EXISTS (
    SELECT FROM callctl.made AS r WHERE r.kind = 'row' AND r.relation = 'ai_models' AND r.name = m.id::text);
