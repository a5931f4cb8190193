-- Step 9 down, before: a row of the platform whose primary key changes while integration_accounts is archived takes its archived rows
-- along. As documented, the foreign keys would refuse the change; the next up makes them again as they were.

-- callctl: commit
SELECT callctl.remember_keys(9, 'chatapp.integration_accounts'::regclass);

-- callctl: generated, commit
SELECT ddl FROM callctl.let_keys_follow('chatapp.integration_accounts'::regclass);

-- callctl: generated, no-transaction
SELECT ddl FROM callctl.key_validations(9, 'chatapp.integration_accounts'::regclass);

SELECT callctl.remember_trigger(9, 'chatapp.integration_accounts'::regclass, 'update_integration_accounts_updated_at');
