-- finding: type-values
-- steps: 4
-- ok: there are no chatbots and no packages yet
-- why: step 4 turns "call" into a call bot and everything else, NULL and misspellings too, into a chat bot;
--      callctl saves the old value, and migrate down restores it
-- do: if one of them should be a call bot, UPDATE its type to "call" before step 4

-- needs: chatapp.chatbot_packages.chatbotType
SELECT
    CASE WHEN q.value IN ('chat', 'call') THEN 'ok' ELSE 'warns' END AS level,
    format('chatbot_packages of type %s: %s%s', coalesce('"' || q.value || '"', 'NULL'), q.amount,
           CASE WHEN q.value IN ('chat', 'call') THEN '' ELSE ', an undocumented value; they become packages for chat' END) AS what,
    'chatbot_packages' AS object
FROM (
    SELECT x.chatbotType::text AS value, count(*) AS amount
    FROM chatapp.chatbot_packages AS x
    GROUP BY x.chatbotType::text
    ORDER BY count(*) DESC
    LIMIT 50
) AS q;

-- needs: chatapp.chatbots.chatbotType
SELECT
    CASE WHEN q.value IN ('chat', 'call') THEN 'ok' ELSE 'warns' END AS level,
    format('chatbots of type %s: %s%s', coalesce('"' || q.value || '"', 'NULL'), q.amount,
           CASE WHEN q.value IN ('chat', 'call') THEN '' ELSE ', an undocumented value; they become chat bots' END) AS what,
    'chatbots' AS object
FROM (
    SELECT x.chatbotType::text AS value, count(*) AS amount
    FROM chatapp.chatbots AS x
    GROUP BY x.chatbotType::text
    ORDER BY count(*) DESC
    LIMIT 50
) AS q;
