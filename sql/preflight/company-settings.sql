-- finding: company-settings
-- steps: 12
-- ok: every company's settings can hold the flag features.callEnabled
-- why: step 12 writes features.callEnabled into each company's settings; it cannot write it into an array, a string or a
--      number without losing the present value
-- do: UPDATE these companies' settings to an object (or NULL), with "features" an object and "callEnabled"
--      true or false

-- needs: chatapp.companies.settings
SELECT
    'blocks' AS level,
    format('companies whose %s: %s', q.shape, q.amount) AS what,
    q.ids AS object,
    CASE q.at
        WHEN 1 THEN format('UPDATE %s SET settings = jsonb_build_object(''was'', settings) WHERE jsonb_typeof(settings) <> ''object'';'
                           ' or give them settings that the application understands', 'chatapp.companies'::regclass)
        WHEN 2 THEN format('UPDATE %s SET settings = jsonb_set(settings, ''{features}'', jsonb_build_object(''was'', settings -> ''features''))'
                           ' WHERE jsonb_typeof(settings -> ''features'') NOT IN (''object'', ''null'');', 'chatapp.companies'::regclass)
        ELSE format('UPDATE %s SET settings = settings #- ''{features,callEnabled}'' WHERE jsonb_typeof(settings #> ''{features,callEnabled}'')'
                    ' <> ''boolean''; step 12 then writes false', 'chatapp.companies'::regclass)
    END AS fix
FROM (
    SELECT s.shape, s.at, count(*) AS amount, (array_agg(s.id ORDER BY s.id))[1:20] AS ids
    FROM (
        SELECT
            x.id::text AS id,
            CASE
                WHEN jsonb_typeof(x.settings) <> 'object' THEN 1
                WHEN jsonb_typeof(x.settings -> 'features') NOT IN ('object', 'null') THEN 2
                ELSE 3
            END AS at,
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
    GROUP BY s.shape, s.at
) AS q;
