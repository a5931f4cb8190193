-- Step 2, after: while the type column exists too, triggers keep both forms in step, from the transaction on in which the
-- flags appear. The form that a statement writes wins, so a row that the application writes needs no backfill.

-- callctl: repeatable
SELECT callctl.make_sync('chatapp.chatbot_packages'::regclass, 'chatbottype'::name, 'enable_chat'::name, 'enable_call'::name);
