-- The database after up, in numbers: the same questions as before.sql, to the capability flags.

SELECT 'chatbots for chat' AS what, count(*) FILTER (WHERE enabled_chat) AS number FROM chatapp.chatbots
UNION ALL
SELECT 'chatbots for calls', count(*) FILTER (WHERE enabled_call) FROM chatapp.chatbots
UNION ALL
SELECT 'of these, with call settings',
       count(*) FILTER (WHERE enabled_call AND settings -> 'call' NOT IN ('null', '{}')) FROM chatapp.chatbots
UNION ALL
SELECT 'companies with a call switch', count(*) FILTER (WHERE settings #> '{features,callEnabled}' IS NOT NULL)
FROM chatapp.companies
UNION ALL
SELECT 'of these, switched on', count(*) FILTER (WHERE settings #> '{features,callEnabled}' = 'true') FROM chatapp.companies
UNION ALL
SELECT 'AI models', count(*) FROM chatapp.ai_models;
