-- Step 13: what is true once it is done.

-- check: call-models: the catalogue's three models are there and take calls
SELECT wanted.name, m.model_type
FROM (VALUES ('gpt-4o-realtime-preview-2024-10-01'), ('gpt-4o-realtime-preview'), ('gemini-2.0-flash-exp')) AS wanted (name)
LEFT JOIN chatapp.ai_models AS m ON m.model_name = wanted.name
WHERE m.model_type IS NULL OR m.model_type NOT IN ('call', 'both');
