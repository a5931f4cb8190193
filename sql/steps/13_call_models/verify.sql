-- Step 13: what is true once it is done, beside what sql/contract says of the catalog.
-- means: a model for calls is missing from the list that customers choose from
-- mends: callctl migrate down --to 12, then callctl migrate up: models that are missing are inserted again

-- check: call-models: the catalogue's three models are there
SELECT wanted.name
FROM (VALUES ('gpt-4o-realtime-preview-2024-10-01'), ('gpt-4o-realtime-preview'), ('gemini-2.0-flash-exp')) AS wanted (name)
LEFT JOIN chatapp.ai_models AS m ON m.model_name = wanted.name
WHERE m.id IS NULL;
