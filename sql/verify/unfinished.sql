-- steps: 1

-- check: nothing-half-done: no step has stopped half way
SELECT DISTINCT step, direction FROM callctl.checkpoint;

-- check: indexes-valid: no index of the platform is invalid
SELECT i.indexrelid::regclass AS index, i.indrelid::regclass AS table
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE c.relnamespace = 'chatapp'::regnamespace AND NOT i.indisvalid;

-- check (warns): values-superseded: no saved value has been overtaken by a newer write
SELECT relation, field, count(*) AS values FROM callctl.saved_value WHERE superseded_at IS NOT NULL GROUP BY relation, field;
