-- steps: 2-4
-- means: such a chatbot answers neither chats nor calls
-- fix: UPDATE the chatbot: set enabled_chat or enabled_call

-- check: chatbots-capable: every chatbot, deleted or not, handles chat or call
SELECT c.id, c.enabled_chat, c.enabled_call FROM chatapp.chatbots AS c
WHERE NOT COALESCE(c.enabled_chat OR c.enabled_call, false);
