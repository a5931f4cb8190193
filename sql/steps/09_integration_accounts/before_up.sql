-- Step 9, before: where integration_accounts is archived, its foreign keys become what they were.

-- callctl: generated, commit
SELECT ddl FROM callctl.let_keys_refuse(9, to_regclass('callctl.integration_accounts'));

-- callctl: generated, no-transaction
SELECT ddl FROM callctl.key_validations(9, to_regclass('callctl.integration_accounts'));
