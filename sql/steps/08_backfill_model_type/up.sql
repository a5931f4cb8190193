-- Step 8: every model has a model_type. After NOT NULL DEFAULT 'chat' nothing is left to backfill; this says so.
-- Specification: L649-656, L3113-3118.

-- check: models-typed: every model has a model_type
SELECT id, model_name FROM chatapp.ai_models WHERE model_type IS NULL;
