-- Step 10, again: calls returns from the archive as it was archived, rows, columns, indexes, constraints and policies, before
-- any session can write. Runs in place of up.sql if callctl.calls exists; nothing of up.sql is made again.

-- Its foreign keys become what they were.
-- callctl: generated, commit
SELECT ddl FROM callctl.let_keys_refuse(10, to_regclass('callctl.calls'));

-- callctl: generated, no-transaction
SELECT ddl FROM callctl.key_validations(10, to_regclass('callctl.calls'));

ALTER TABLE callctl.calls SET SCHEMA chatapp;

-- Its trigger on updated_at, if it had one.
-- callctl: generated
SELECT ddl FROM callctl.definition WHERE step = 10 AND kind = 'trigger' ORDER BY ordinal;

-- What was written down of it is not needed any more.
DELETE FROM callctl.definition WHERE step = 10;
