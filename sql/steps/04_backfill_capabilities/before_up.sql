-- Step 4, before: step 12 writes about 600 bytes of call settings into most of the rows that this step writes. With room left
-- on their page, that needs no new entry in any index (heap-only tuples). Blocks no one; the table's own fillfactor is back
-- after the step.

-- callctl: no-transaction
SELECT callctl.leave_room(4, 'chatapp.chatbots'::regclass, 600);
