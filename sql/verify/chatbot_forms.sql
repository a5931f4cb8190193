-- steps: 2-4
-- pending: 6
-- means: the old application and the new one treat a chatbot differently
-- fix: UPDATE the chatbot's flags: the trigger sets its type; if it happens again, find out what disables the trigger

-- A hybrid is no call bot and its type is 'chat'; an undocumented type, or none, counts as 'chat'.
-- check: chatbot-forms-agree: while the type column exists, every chatbot's type is call if its flags allow only calls
SELECT c.id, c.chatbotType, c.enabled_chat, c.enabled_call FROM chatapp.chatbots AS c
WHERE COALESCE(c.chatbotType = 'call', false) <> (c.enabled_call AND NOT c.enabled_chat);
