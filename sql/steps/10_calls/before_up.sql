-- Step 10, before: where calls is archived, its foreign keys become what they were.

-- callctl: generated, commit
SELECT ddl FROM callctl.let_keys_refuse(10, to_regclass('callctl.calls'));

-- callctl: generated, no-transaction
SELECT ddl FROM callctl.key_validations(10, to_regclass('callctl.calls'));
