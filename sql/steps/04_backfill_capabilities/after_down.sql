-- Step 4 down, after: where the way up stopped half way, the fillfactor is still the one that it set.

-- callctl: no-transaction
SELECT callctl.leave_no_more_room(4);
