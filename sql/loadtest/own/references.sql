-- parameters: schema

-- The foreign keys to the tables in which a load test has rows, archived ones too: what goes when those rows go.
WITH own AS (
  SELECT c.oid, c.relname
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p')
    AND (n.nspname = $1 AND c.relname IN ('companies', 'chatbots', 'end_users', 'conversations')
         OR n.nspname IN ($1, 'callctl') AND c.relname IN ('calls', 'call_transcripts', 'integration_accounts'))
)
SELECT n.nspname AS schema, r.relname AS relation, a.attname AS attribute, t.relname AS target, m.relname AS own
FROM pg_constraint AS f
JOIN own AS t ON t.oid = f.confrelid
JOIN pg_class AS r ON r.oid = f.conrelid
JOIN pg_namespace AS n ON n.oid = r.relnamespace
CROSS JOIN LATERAL unnest(f.conkey, f.confkey) AS k (source, aim)
JOIN pg_attribute AS a ON a.attrelid = f.conrelid AND a.attnum = k.source
JOIN pg_attribute AS b ON b.attrelid = f.confrelid AND b.attnum = k.aim AND b.attname = 'id'
LEFT JOIN own AS m ON m.oid = f.conrelid
WHERE f.contype = 'f' AND f.conparentid = 0
ORDER BY 1, 2, 3
