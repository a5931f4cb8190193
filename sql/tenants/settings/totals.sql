-- How many chatbots are enabled for calls, soft-deleted ones too, by the voice provider that they name.
SELECT CASE WHEN jsonb_typeof(c.settings #> '{call,voiceProvider}') = 'string' THEN c.settings #>> '{call,voiceProvider}' END AS provider,
       count(*) AS chatbots
FROM chatapp.chatbots AS c
WHERE c.enabled_call
GROUP BY 1;
