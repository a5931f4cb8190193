-- finding: settings-shapes
-- steps: 12
-- direction: down
-- ok: every setting that migrate down restores fits into the present settings
-- why: migrate down restores features.callEnabled and settings.call as they were before up; it cannot write them into an array, a string
--      or a number, and step 12 stops there
-- do: turn these settings into an object, or give up the saved value: the newer settings then stay as they are

-- needs: chatapp.companies.settings, callctl.saved_value
SELECT
    'blocks' AS level,
    format('companies whose %s, and whose features.callEnabled of before up is saved: %s', q.shape, q.amount) AS what,
    q.ids[1:20] AS object,
    format('UPDATE callctl.saved_value SET superseded_at = now() WHERE set_config(''callctl.writes'', ''on'', true) = ''on'''
           ' AND field = ''settings.features.callEnabled'' AND saved_by = ''up'' AND superseded_at IS NULL AND company_id IN (%s); leaves these settings as they are, or turn them into an object',
           (SELECT string_agg(quote_literal(i), ', ') FROM unnest(q.ids) AS i)) AS fix
FROM (
    SELECT s.shape, count(*) AS amount, array_agg(s.id ORDER BY s.id) AS ids
    FROM (
        SELECT
            c.id::text AS id,
            CASE
                WHEN jsonb_typeof(c.settings) <> 'object' THEN 'settings are not an object but ' || jsonb_typeof(c.settings)
                WHEN jsonb_typeof(c.settings -> 'features') NOT IN ('object', 'null')
                    THEN 'settings.features is not an object but ' || jsonb_typeof(c.settings -> 'features')
            END AS shape
        FROM callctl.saved_value AS b
        JOIN chatapp.companies AS c ON c.id = b.company_id
        WHERE b.field = 'settings.features.callEnabled' AND b.saved_by = 'up' AND b.superseded_at IS NULL
          AND jsonb_typeof(b.value -> 'callEnabled') = 'boolean'
    ) AS s
    WHERE s.shape IS NOT NULL
    GROUP BY s.shape
) AS q;

-- needs: chatapp.chatbots.settings, callctl.saved_value
SELECT
    'blocks' AS level,
    format('chatbots whose settings are not an object but %s, and whose settings.call of before up is saved: %s', q.shape, q.amount)
        AS what,
    q.ids[1:20] AS object,
    format('UPDATE callctl.saved_value SET superseded_at = now() WHERE set_config(''callctl.writes'', ''on'', true) = ''on'''
           ' AND field = ''settings.call'' AND saved_by = ''up'' AND superseded_at IS NULL AND chatbot_id IN (%s); leaves these settings as they are, or turn them into an object',
           (SELECT string_agg(quote_literal(i), ', ') FROM unnest(q.ids) AS i)) AS fix
FROM (
    SELECT jsonb_typeof(c.settings) AS shape, count(*) AS amount, array_agg(c.id::text ORDER BY c.id) AS ids
    FROM callctl.saved_value AS b
    JOIN chatapp.chatbots AS c ON c.id = b.chatbot_id
    WHERE b.field = 'settings.call' AND b.saved_by = 'up' AND b.superseded_at IS NULL
      AND b.value ? 'call' AND jsonb_typeof(c.settings) <> 'object'
    GROUP BY jsonb_typeof(c.settings)
) AS q;
