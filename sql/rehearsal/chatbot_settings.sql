-- The shapes of the chatbots' settings, as company_settings.sql has them: of settings.call the documented keys and their types.
SELECT q.settings, q.part, q.keys, q.others, count(*) AS rows
FROM (
  SELECT jsonb_typeof(x.settings) AS settings, jsonb_typeof(x.settings -> 'call') AS part,
         CASE jsonb_typeof(x.settings -> 'call') WHEN 'object' THEN
           (SELECT string_agg(k.name || ':' || jsonb_typeof(x.settings -> 'call' -> k.name), ',' ORDER BY k.name)
            FROM unnest(string_to_array(current_setting('callctl.call_keys'), ',')) AS k(name)
            WHERE jsonb_exists(x.settings -> 'call', k.name)) END AS keys,
         CASE jsonb_typeof(x.settings) WHEN 'object'
           THEN least((SELECT count(*) FROM jsonb_object_keys(x.settings) AS k(name) WHERE k.name <> 'call'), 20)
           ELSE 0 END AS others
  FROM chatapp.chatbots AS x
) AS q
GROUP BY 1, 2, 3, 4
ORDER BY 5 DESC, 1, 2, 3, 4
LIMIT 50;
