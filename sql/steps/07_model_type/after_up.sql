-- Step 7, after: values that an earlier down removed from these columns are restored, if there was no write since.

SELECT callctl.put_back_made_columns(7, 'chatapp.ai_models'::regclass);
