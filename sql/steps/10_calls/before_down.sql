-- Step 10 down, before: a row of the platform whose primary key changes while calls is archived takes its archived rows
-- along. As documented, the foreign keys would refuse the change; the next up makes them again as they were.

-- callctl: commit
SELECT callctl.remember_keys(10, 'chatapp.calls'::regclass);

-- callctl: generated, commit
SELECT ddl FROM callctl.let_keys_follow('chatapp.calls'::regclass);

-- callctl: generated, no-transaction
SELECT ddl FROM callctl.key_validations(10, 'chatapp.calls'::regclass);

SELECT callctl.remember_trigger(10, 'chatapp.calls'::regclass, 'update_calls_updated_at');
