-- steps: 1
-- means: nothing is wrong: a newer write stands where callctl would have put a saved value back
-- mends: look at them in callctl.saved_value; callctl purge deletes them with everything else that is saved

-- check (warns): values-superseded: no saved value has been overtaken by a newer write
SELECT s.relation, s.field, s.row_id, s.superseded_at FROM callctl.saved_value AS s
WHERE s.superseded_at IS NOT NULL;
