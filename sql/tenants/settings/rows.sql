-- What a chatbot's call settings are, and whose it is. As text, so that every number keeps its digits. %(ids)s
SELECT c.id::text, c.company_id::text, (c.deletedAt IS NOT NULL) AS deleted, (c.settings -> 'call')::text AS call
FROM chatapp.chatbots AS c
WHERE c.id = ANY (%(ids)s::uuid[])
ORDER BY c.id;
