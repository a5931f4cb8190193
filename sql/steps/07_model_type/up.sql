-- Step 7: ai_models gets model_type, with its CHECK and index, and whatever columns the seed data needs and the table
-- has no counterpart for. Specification: section 4.

-- callctl: commit
ALTER TABLE chatapp.ai_models
  ADD COLUMN IF NOT EXISTS model_type VARCHAR(20) NOT NULL DEFAULT 'chat',
  ADD COLUMN IF NOT EXISTS display_name VARCHAR(100),
  ADD COLUMN IF NOT EXISTS description TEXT,
  ADD COLUMN IF NOT EXISTS supports_audio BOOLEAN NOT NULL DEFAULT false,
  ADD COLUMN IF NOT EXISTS input_cost_per_token NUMERIC(18,12),
  ADD COLUMN IF NOT EXISTS output_cost_per_token NUMERIC(18,12),
  ADD COLUMN IF NOT EXISTS audio_cost_per_second_input NUMERIC(12,6),
  ADD COLUMN IF NOT EXISTS audio_cost_per_second_output NUMERIC(12,6),
  ADD COLUMN IF NOT EXISTS context_window INTEGER,
  ADD COLUMN IF NOT EXISTS max_output_tokens INTEGER;

ALTER TABLE chatapp.ai_models
  DROP CONSTRAINT IF EXISTS ai_models_model_type_check,
  ADD CONSTRAINT ai_models_model_type_check CHECK (model_type IN ('chat', 'call', 'both'));

-- callctl: no-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_ai_models_model_type
ON chatapp.ai_models(model_type, provider)
WHERE deletedAt IS NULL;
