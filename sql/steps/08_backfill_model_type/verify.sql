-- Step 8: the rules for the rows after the step; sql/contract has the catalog.
-- means: the application offers a model that is neither for chat nor for calls to no customer
-- fix: run the statement in the row, or set 'call' or 'both' in it if the model takes calls

-- check: every-model-typed: every model's model_type is chat, call or both
SELECT m.id, m.model_name, m.model_type,
       format('UPDATE %s SET model_type = %L WHERE id = %L;', m.tableoid::regclass, 'chat', m.id) AS statement
FROM chatapp.ai_models AS m
WHERE m.model_type IS NULL OR m.model_type NOT IN ('chat', 'call', 'both');
