-- Step 5 down, before: the type column is made again from its recorded definition. Every row reads 'chat' at once, and triggers
-- keep both forms in step from that transaction on.

-- callctl: generated
SELECT ddl FROM callctl.definition WHERE step = 5 AND kind IN ('column', 'default', 'setting') ORDER BY ordinal;

SELECT callctl.make_sync('chatapp.chatbot_packages'::regclass, 'chatbottype'::name, 'enable_chat'::name, 'enable_call'::name);
