-- finding: settings-unknown
-- steps: 12
-- direction: down
-- ok: for every setting that migrate down takes back, callctl knows the earlier value
-- why: callctl purge has deleted the saved values, or step 12 was done without callctl: callctl no longer knows whether the step or
--      the platform wrote a setting, so migrate down leaves it as it is
-- do: nothing; or after migrate down, remove the settings that you know the step wrote

-- needs: callctl.history
SELECT
    'warns' AS level,
    format('migrate down leaves features.callEnabled of %s companies and the call settings of %s chatbots as they are',
           (SELECT count(*) FROM chatapp.companies AS c
            WHERE c.settings #> '{features,callEnabled}' IS NOT NULL
              AND NOT EXISTS (SELECT FROM callctl.saved_value AS s
                              WHERE s.company_id = c.id AND s.field = 'settings.features.callEnabled' AND s.saved_by = 'up'
                                AND s.superseded_at IS NULL)),
           (SELECT count(*) FROM chatapp.chatbots AS c
            WHERE c.settings -> 'call' IS NOT NULL
              AND NOT EXISTS (SELECT FROM callctl.saved_value AS s
                              WHERE s.chatbot_id = c.id AND s.field = 'settings.call' AND s.saved_by = 'up'
                                AND s.superseded_at IS NULL))) AS what
WHERE NOT EXISTS (SELECT FROM callctl.known_before AS k WHERE k.step = 12);
