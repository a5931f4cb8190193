-- steps: 13
-- means: a model that customers choose for calls is refused, or not offered
-- fix: UPDATE the model's model_type to 'call' or 'both'

-- check: call-models-take-calls: the three models of callctl's catalog can be used for calls
SELECT m.model_name, m.model_type FROM chatapp.ai_models AS m
WHERE m.model_name IN ('gpt-4o-realtime-preview-2024-10-01', 'gpt-4o-realtime-preview', 'gemini-2.0-flash-exp')
  AND m.model_type NOT IN ('call', 'both');
