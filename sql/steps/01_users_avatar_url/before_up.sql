-- Step 1, before: the column's type and default are written down, so that down can restore them.

SELECT callctl.remember_column_type(1, 'chatapp.users'::regclass, 'avatar_url'::name);

SELECT callctl.remember_forms(1, 'form before', 'chatapp.users'::regclass, 'avatar_url'::name);
