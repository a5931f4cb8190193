-- Step 1 down, after: what was written down is not needed any more.

DELETE FROM callctl.definition WHERE step = 1;

-- Changing the type throws the planner's statistics of the column away. By itself: it waits for an autovacuum in its way.
-- callctl: no-transaction
ANALYZE chatapp.users (avatar_url);
