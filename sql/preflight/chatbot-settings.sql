-- finding: chatbot-settings
-- steps: 12
-- ok: every chatbot's settings can hold the call settings
-- why: step 12 writes the default call settings into each call bot's settings; an array or a single value
--      cannot hold them, and existing call settings are never overwritten
-- do: UPDATE these chatbots' settings to an object; settings.call to an object, or remove it to get the
--      defaults

-- needs: chatapp.chatbots.settings
SELECT
    q.level,
    format('chatbots whose %s: %s', q.shape, q.amount) AS what,
    q.ids AS object,
    CASE WHEN q.level = 'blocks'
         THEN format('UPDATE %s SET settings = jsonb_build_object(''was'', settings) WHERE jsonb_typeof(settings) <> ''object'';'
                     ' or give them settings that the application understands', 'chatapp.chatbots'::regclass)
         ELSE format('UPDATE %s SET settings = settings - ''call'' WHERE jsonb_typeof(settings -> ''call'') NOT IN (''object'', ''null'');'
                     ' gives them the defaults', 'chatapp.chatbots'::regclass) END AS fix
FROM (
    SELECT s.level, s.shape, count(*) AS amount, (array_agg(s.id ORDER BY s.id))[1:20] AS ids
    FROM (
        SELECT
            x.id::text AS id,
            CASE WHEN jsonb_typeof(x.settings) <> 'object' THEN 'blocks' ELSE 'warns' END AS level,
            CASE
                WHEN jsonb_typeof(x.settings) <> 'object'
                    THEN 'settings are not an object but ' || jsonb_typeof(x.settings)
                WHEN jsonb_typeof(x.settings -> 'call') NOT IN ('object', 'null')
                    THEN 'settings.call is not an object but ' || jsonb_typeof(x.settings -> 'call')
            END AS shape
        FROM chatapp.chatbots AS x
        WHERE x.settings IS NOT NULL
    ) AS s
    WHERE s.shape IS NOT NULL
    GROUP BY s.level, s.shape
) AS q;
