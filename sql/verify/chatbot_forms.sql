-- steps: 2-4
-- pending: 6
-- means: the old application takes a chatbot for another than the new one does
-- mends: UPDATE the chatbot's flags: the trigger sets its type; if it recurs, the trigger was switched off by somebody

-- A hybrid is no call bot and its type says 'chat'; a type that nobody documented, or none, counts as 'chat'.
-- check: chatbot-forms-agree: while the type column exists, every chatbot's type says call where its flags say call alone
SELECT c.id, c.chatbotType, c.enabled_chat, c.enabled_call FROM chatapp.chatbots AS c
WHERE COALESCE(c.chatbotType = 'call', false) <> (c.enabled_call AND NOT c.enabled_chat);
