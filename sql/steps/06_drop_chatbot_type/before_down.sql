-- Step 6 down, before: the type column is made again from its recorded definition. Every row reads 'chat' at once, and triggers
-- keep both forms in step from that transaction on.

-- callctl: commit
DROP TRIGGER IF EXISTS check_chatbot_capabilities ON chatapp.chatbots;

DROP FUNCTION IF EXISTS chatapp.check_chatbot_capabilities();

-- callctl: generated
SELECT ddl FROM callctl.definition WHERE kind = 'type' ORDER BY step, ordinal;

UPDATE callctl.definition SET kind = 'kept type' WHERE kind = 'type';

-- callctl: generated
SELECT ddl FROM callctl.definition WHERE step = 6 AND kind IN ('column', 'default', 'setting') ORDER BY ordinal;

SELECT callctl.make_sync('chatapp.chatbots'::regclass, 'chatbottype'::name, 'enabled_chat'::name, 'enabled_call'::name);
