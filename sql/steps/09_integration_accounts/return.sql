-- Step 9, again: integration_accounts returns from the archive as it was archived, rows, columns, indexes, constraints and policies, before
-- any session can write. Runs in place of up.sql if callctl.integration_accounts exists; nothing of up.sql is made again.

-- Its foreign keys become what they were.
-- callctl: generated, commit
SELECT ddl FROM callctl.let_keys_refuse(9, to_regclass('callctl.integration_accounts'));

-- callctl: generated, no-transaction
SELECT ddl FROM callctl.key_validations(9, to_regclass('callctl.integration_accounts'));

SELECT callctl.make_touch_function(9, 'chatapp'::regnamespace);

ALTER TABLE callctl.integration_accounts SET SCHEMA chatapp;

-- Its trigger on updated_at, if it had one.
-- callctl: generated
SELECT ddl FROM callctl.definition WHERE step = 9 AND kind = 'trigger' ORDER BY ordinal;

-- What was written down of it is not needed any more.
DELETE FROM callctl.definition WHERE step = 9;
