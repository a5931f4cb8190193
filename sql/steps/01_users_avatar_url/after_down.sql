-- Step 1 down, after: the column's indexes and statistics objects get the rest of what they had; what was written down is not
-- needed any more.

SELECT callctl.put_back_settings(1);

DELETE FROM callctl.definition WHERE step = 1;

-- Changing the type throws the planner's statistics of the column away. By itself: it waits for an autovacuum in its way.
-- callctl: no-transaction
ANALYZE chatapp.users (avatar_url);
