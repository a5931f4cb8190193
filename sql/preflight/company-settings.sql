-- finding: company-settings
-- steps: 12
-- ok: every company's settings can take the flag features.callEnabled
-- why: step 12 writes features.callEnabled into each company's settings; into an array, a string or a
--      number it cannot be written without losing what is there
-- do: UPDATE these companies' settings to an object (or NULL), with "features" an object and "callEnabled"
--      true or false

-- needs: chatapp.companies.settings
SELECT
    'blocks' AS level,
    format('companies whose %s: %s', q.shape, q.amount) AS what,
    q.ids AS object
FROM (
    SELECT s.shape, count(*) AS amount, (array_agg(s.id ORDER BY s.id))[1:20] AS ids
    FROM (
        SELECT
            x.id::text AS id,
            CASE
                WHEN jsonb_typeof(x.settings) <> 'object'
                    THEN 'settings are not an object but ' || jsonb_typeof(x.settings)
                WHEN jsonb_typeof(x.settings -> 'features') NOT IN ('object', 'null')
                    THEN 'settings.features is not an object but ' || jsonb_typeof(x.settings -> 'features')
                WHEN jsonb_typeof(x.settings -> 'features' -> 'callEnabled') <> 'boolean'
                    THEN 'settings.features.callEnabled is not true or false but '
                         || jsonb_typeof(x.settings -> 'features' -> 'callEnabled')
            END AS shape
        FROM chatapp.companies AS x
        WHERE x.settings IS NOT NULL
    ) AS s
    WHERE s.shape IS NOT NULL
    GROUP BY s.shape
) AS q;
