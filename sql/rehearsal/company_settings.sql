-- The shapes of the companies' settings: JSON types, the flag, and how many other keys. No key that the specification does not
-- name, and no value but true and false.
SELECT q.settings, q.part, q.keys, q.others, count(*) AS rows
FROM (
  SELECT jsonb_typeof(x.settings) AS settings, jsonb_typeof(x.settings -> 'features') AS part,
         CASE jsonb_typeof(x.settings -> 'features' -> 'callEnabled')
           WHEN 'boolean' THEN 'callEnabled:' || (x.settings -> 'features' ->> 'callEnabled')
           ELSE 'callEnabled:' || jsonb_typeof(x.settings -> 'features' -> 'callEnabled') END AS keys,
         CASE jsonb_typeof(x.settings) WHEN 'object'
           THEN least((SELECT count(*) FROM jsonb_object_keys(x.settings) AS k(name) WHERE k.name <> 'features'), 20)
           ELSE 0 END AS others
  FROM chatapp.companies AS x
) AS q
GROUP BY 1, 2, 3, 4
ORDER BY 5 DESC, 1, 2, 3, 4
LIMIT 50;
