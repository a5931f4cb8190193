-- Step 3, after: while the type column exists too, triggers keep both forms in step, from the transaction on in which the
-- flags appear. The form that a statement writes wins, so a row that the application writes needs no backfill.

-- callctl: repeatable
SELECT callctl.make_sync('chatapp.chatbots'::regclass, 'chatbottype'::name, 'enabled_chat'::name, 'enabled_call'::name);
