-- Step 9, given up before its end: integration_accounts, still empty, is dropped, and the step is pending again. If it was
-- about to return from the archive, it is still there.

SELECT callctl.drop_unfinished_table(9, to_regclass('chatapp.integration_accounts'));

-- Its foreign keys follow changed primary keys for as long as it is archived.
-- callctl: generated
SELECT ddl FROM callctl.let_keys_follow(to_regclass('callctl.integration_accounts'));

SELECT callctl.drop_made_function(9);

DELETE FROM callctl.checkpoint WHERE step = 9;
