-- Step 8: what is true once it is done.

-- check: every-model-typed: every model's model_type is chat, call or both
SELECT id, model_name, model_type FROM chatapp.ai_models
WHERE model_type IS NULL OR model_type NOT IN ('chat', 'call', 'both');
