-- Step 13, back: the models that callctl inserted are put away, as they are now, and return with the next up.
-- One that a foreign key still uses is named, and nothing happens.

SELECT callctl.put_away_made_rows(13, 'chatapp.ai_models'::regclass);
