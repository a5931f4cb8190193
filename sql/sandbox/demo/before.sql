-- The database before up, in numbers. after.sql asks the same of the database after it.

SELECT 'chatbots for chat' AS what, count(*) FILTER (WHERE chatbotType IS DISTINCT FROM 'call') AS number FROM chatapp.chatbots
UNION ALL
SELECT 'chatbots for calls', count(*) FILTER (WHERE chatbotType = 'call') FROM chatapp.chatbots
UNION ALL
SELECT 'of these, with call settings',
       count(*) FILTER (WHERE chatbotType = 'call' AND settings -> 'call' NOT IN ('null', '{}')) FROM chatapp.chatbots
UNION ALL
SELECT 'companies with a call switch', count(*) FILTER (WHERE settings #> '{features,callEnabled}' IS NOT NULL)
FROM chatapp.companies
UNION ALL
SELECT 'of these, switched on', count(*) FILTER (WHERE settings #> '{features,callEnabled}' = 'true') FROM chatapp.companies
UNION ALL
SELECT 'AI models', count(*) FROM chatapp.ai_models;
