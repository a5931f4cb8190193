-- steps: 1
-- means: nothing is wrong: callctl did not restore a saved value, because the application has written a newer one
-- fix: read them in callctl.saved_value; callctl purge deletes them with all other saved values

-- check (warns): values-superseded: no newer write has replaced a saved value
SELECT s.relation, s.field, s.row_id, s.superseded_at FROM callctl.saved_value AS s
WHERE s.superseded_at IS NOT NULL;
