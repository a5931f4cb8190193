-- Step 9, given up before its end: integration_accounts goes, which nothing was written into, and the step is pending again. Where it was
-- to come back from the archive, it is there still.

SELECT callctl.drop_unfinished_table(9, to_regclass('chatapp.integration_accounts'));

-- Its foreign keys follow changed primary keys for as long as it is archived.
-- callctl: generated
SELECT ddl FROM callctl.let_keys_follow(to_regclass('callctl.integration_accounts'));

SELECT callctl.drop_made_function(9);

DELETE FROM callctl.checkpoint WHERE step = 9;
