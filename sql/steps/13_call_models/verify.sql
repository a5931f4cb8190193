-- Step 13: the rules for the rows after the step; sql/contract has the catalog.
-- means: a model for calls is missing from the list that customers choose from
-- fix: run callctl seed-models, which inserts it again. To stop offering a model, keep its row and set is_active = false or deleted_at, whichever ai_models has

-- While chatbots has its type column, models wait in callctl.saved_row if the table has no is_active.
-- check: call-models: the catalog's three models exist, or wait for step 6
SELECT wanted.name
FROM (VALUES ('gpt-4o-realtime-preview-2024-10-01'), ('gpt-4o-realtime-preview'), ('gemini-2.0-flash-exp')) AS wanted (name)
LEFT JOIN chatapp.ai_models AS m ON m.model_name = wanted.name
WHERE m.id IS NULL
  AND NOT EXISTS (
    SELECT FROM callctl.saved_row AS r, (VALUES ('chatapp.ai_models'::regclass, 'model_name'::name)) AS key_column (relation, name)
    WHERE r.relation = 'ai_models' AND r.superseded_at IS NULL AND r.contents ->> key_column.name::text = wanted.name
      AND EXISTS (
        SELECT FROM pg_attribute AS a
        WHERE a.attrelid = 'chatapp.chatbots'::regclass AND lower(a.attname) IN ('chatbottype', 'chatbot_type') AND NOT a.attisdropped));
