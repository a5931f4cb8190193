-- finding: hybrids
-- steps: 2-3, 5-6
-- direction: down
-- ok: no chatbot and no package does both chat and call
-- why: the old type column can hold only one of the two; a hybrid becomes a chat bot, and its flags are
--      saved for the next up
-- do: nothing, if you accept that; otherwise choose one capability before migrate down

-- needs: chatapp.chatbot_packages.enable_call
SELECT
    'warns' AS level,
    format('packages that allow both chat and call, and will be packages for chat: %s', count(*)) AS what,
    'chatbot_packages' AS object,
    ARRAY[2, 5] AS steps
FROM chatapp.chatbot_packages AS x
WHERE x.enable_chat AND x.enable_call
HAVING count(*) > 0;

-- needs: chatapp.chatbots.enabled_call
SELECT
    'warns' AS level,
    format('chatbots that do both chat and call, and will be chat bots: %s', count(*)) AS what,
    'chatbots' AS object,
    ARRAY[3, 6] AS steps
FROM chatapp.chatbots AS x
WHERE x.enabled_chat AND x.enabled_call
HAVING count(*) > 0;
