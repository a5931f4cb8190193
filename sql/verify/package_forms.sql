-- steps: 2-4
-- pending: 5
-- means: the old application and the new one treat a package differently
-- fix: UPDATE the package's flags: the trigger sets its type; if it happens again, find out what disables the trigger

-- A hybrid is no call bot and its type is 'chat'; an undocumented type, or none, counts as 'chat'.
-- check: package-forms-agree: while the type column exists, every package's type is call if its flags allow only calls
SELECT p.id, p.chatbotType, p.enable_chat, p.enable_call FROM chatapp.chatbot_packages AS p
WHERE COALESCE(p.chatbotType = 'call', false) <> (p.enable_call AND NOT p.enable_chat);
