-- finding: package-rule
-- steps: 4-6
-- ok: no chatbot has a capability that its package does not allow
-- why: step 6 creates a trigger that refuses such a chatbot when it is written; rows that already break the rule
--      are recorded and stay as they are
-- do: allow the capability in the package, or move the chatbot to another package, before step 6

-- needs: chatapp.chatbots.chatbotType, chatapp.chatbot_packages.chatbotType
SELECT
    'warns' AS level,
    format('chatbots of type "%s" in a package of another type: %s', q.kind, q.amount) AS what,
    q.ids AS object
FROM (
    SELECT
        CASE WHEN x.chatbotType::text = 'call' THEN 'call' ELSE 'chat' END AS kind,
        count(*) AS amount,
        (array_agg(x.id::text ORDER BY x.id))[1:20] AS ids
    FROM chatapp.chatbots AS x
    JOIN chatapp.chatbot_packages AS k ON k.id = x.package_id
    WHERE (coalesce(x.chatbotType::text, '') = 'call') <> (coalesce(k.chatbotType::text, '') = 'call')
    GROUP BY CASE WHEN x.chatbotType::text = 'call' THEN 'call' ELSE 'chat' END
) AS q;

-- needs: chatapp.chatbots.enabled_call, chatapp.chatbot_packages.enable_call
SELECT
    'warns' AS level,
    format('chatbots with a capability that their package does not allow: %s', q.amount) AS what,
    q.ids AS object,
    ARRAY[6] AS steps
FROM (
    SELECT count(*) AS amount, (array_agg(x.id::text ORDER BY x.id))[1:20] AS ids
    FROM chatapp.chatbots AS x
    JOIN chatapp.chatbot_packages AS k ON k.id = x.package_id
    WHERE (x.enabled_call AND NOT k.enable_call) OR (x.enabled_chat AND NOT k.enable_chat)
) AS q
WHERE q.amount > 0;
