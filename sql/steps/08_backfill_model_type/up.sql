-- Step 8: every model has a model_type. After NOT NULL DEFAULT 'chat' nothing is left to backfill; this says so.
-- Specification: L649-656, L3113-3118.

-- fix: UPDATE chatapp.ai_models SET model_type = 'chat' WHERE model_type IS NULL;
-- check: models-typed: every model has a model_type
SELECT id, model_name FROM chatapp.ai_models WHERE model_type IS NULL;
