-- steps: 2-4
-- pending: 5
-- means: the old application takes a package for another than the new one does
-- mends: UPDATE the package's flags: the trigger sets its type; if it recurs, the trigger was switched off by somebody

-- A hybrid is no call bot and its type says 'chat'; a type that nobody documented, or none, counts as 'chat'.
-- check: package-forms-agree: while the type column exists, every package's type says call where its flags say call alone
SELECT p.id, p.chatbotType, p.enable_chat, p.enable_call FROM chatapp.chatbot_packages AS p
WHERE COALESCE(p.chatbotType = 'call', false) <> (p.enable_call AND NOT p.enable_chat);
