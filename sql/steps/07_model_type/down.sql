-- Step 7, back: the columns that callctl added to ai_models go; what others wrote into them is saved.
-- Specification: L886-897.

-- callctl: no-transaction
DROP INDEX CONCURRENTLY IF EXISTS chatapp.idx_ai_models_model_type;

-- No session writes between the saving and the dropping; the table has tens of rows.
CALL callctl.lock_table('chatapp.ai_models'::regclass);

SELECT callctl.save_made_columns(7, 'chatapp.ai_models'::regclass);

ALTER TABLE chatapp.ai_models DROP CONSTRAINT IF EXISTS ai_models_model_type_check;

SELECT callctl.drop_made_columns(7, 'chatapp.ai_models'::regclass);
