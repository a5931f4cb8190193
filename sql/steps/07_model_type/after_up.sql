-- Step 7, after: what an earlier down took out of these columns comes back, where no one has written since.

SELECT callctl.put_back_made_columns(7, 'chatapp.ai_models'::regclass);
