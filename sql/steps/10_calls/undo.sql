-- Step 10, given up before its end: calls, still empty, is dropped, and the step is pending again. If it was
-- about to return from the archive, it is still there.

SELECT callctl.drop_unfinished_table(10, to_regclass('chatapp.calls'));

-- Its foreign keys follow changed primary keys for as long as it is archived.
-- callctl: generated
SELECT ddl FROM callctl.let_keys_follow(to_regclass('callctl.calls'));

DELETE FROM callctl.checkpoint WHERE step = 10;
