-- Packages by type, as chatbot_types.sql has them.
SELECT
  CASE WHEN q.known THEN q.value
       ELSE 'unknown-' || dense_rank() OVER (PARTITION BY q.known ORDER BY q.value) END AS type,
  NULL::text AS package, q.amount AS rows
FROM (
  SELECT t.value, t.amount,
         t.value IS NULL OR t.value IN ('chat', 'call') OR EXISTS (
           SELECT FROM pg_catalog.pg_attribute AS a
           JOIN pg_catalog.pg_enum AS e ON e.enumtypid = a.atttypid
           WHERE a.attrelid = 'chatapp.chatbot_packages'::regclass AND a.attname = 'chatbottype'::name
             AND e.enumlabel = t.value) AS known
  FROM (
    SELECT x.chatbotType::text AS value, count(*) AS amount FROM chatapp.chatbot_packages AS x GROUP BY 1
  ) AS t
) AS q
ORDER BY 3 DESC, 1
LIMIT 50;
