-- Step 13: what is true once it is done.

-- check: call-models: the catalogue's three models are there
SELECT wanted.name
FROM (VALUES ('gpt-4o-realtime-preview-2024-10-01'), ('gpt-4o-realtime-preview'), ('gemini-2.0-flash-exp')) AS wanted (name)
LEFT JOIN chatapp.ai_models AS m ON m.model_name = wanted.name
WHERE m.id IS NULL;

-- Somebody may have decided otherwise since; that must not stand in the way of another up.
-- check (warns): call-models-take-calls: the catalogue's three models take calls
SELECT m.model_name, m.model_type
FROM chatapp.ai_models AS m
WHERE m.model_name IN ('gpt-4o-realtime-preview-2024-10-01', 'gpt-4o-realtime-preview', 'gemini-2.0-flash-exp')
  AND m.model_type NOT IN ('call', 'both');
