-- steps: 13
-- fast: yes
-- means: a model for calls that was there before a way back is missing
-- mends: callctl migrate down --to 12, then callctl migrate up

-- check: no-model-waits: no model waits in the store to be brought back
SELECT r.relation, r.row_id FROM callctl.saved_row AS r WHERE r.superseded_at IS NULL;
