-- Chatbots by type, and by the kind of their package. Where the type is not an enum, a value other than chat and call is text
-- that an application wrote: it stays here, and a number takes its place.
SELECT
  CASE WHEN q.known THEN q.value
       ELSE 'unknown-' || dense_rank() OVER (PARTITION BY q.known ORDER BY q.value) END AS type,
  q.package AS package, sum(q.amount)::bigint AS rows
FROM (
  SELECT t.value, t.package, t.amount,
         t.value IS NULL OR t.value IN ('chat', 'call') OR EXISTS (
           SELECT FROM pg_catalog.pg_attribute AS a
           JOIN pg_catalog.pg_enum AS e ON e.enumtypid = a.atttypid
           WHERE a.attrelid = 'chatapp.chatbots'::regclass AND a.attname = 'chatbottype'::name AND e.enumlabel = t.value) AS known
  FROM (
    SELECT x.chatbotType::text AS value,
           CASE WHEN x.package_id IS NULL THEN NULL
                WHEN k.chatbotType::text = 'call' THEN 'call' ELSE 'chat' END AS package,
           count(*) AS amount
    FROM chatapp.chatbots AS x
    LEFT JOIN chatapp.chatbot_packages AS k ON k.id = x.package_id
    GROUP BY 1, 2
  ) AS t
) AS q
GROUP BY q.known, q.value, q.package
ORDER BY 3 DESC, 1, 2
LIMIT 50;
