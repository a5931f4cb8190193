-- Step 8: what is true once it is done, beside what sql/contract says of the catalog.
-- means: a model that is neither for chat nor for calls is offered to nobody
-- mends: give the model a model_type; callctl migrate down --to 7, then up, sets 'chat' where there is none

-- check: every-model-typed: every model's model_type is chat, call or both
SELECT m.id, m.model_name, m.model_type FROM chatapp.ai_models AS m
WHERE m.model_type IS NULL OR m.model_type NOT IN ('chat', 'call', 'both');
