-- Step 12: the rules for the rows after the step; sql/contract has the catalog.
-- means: calls are off for a company, even if they had been switched on; or a call bot has no voice to answer with
-- fix: run callctl settings init for chatbots; for companies, callctl companies disable --without-flag, then callctl companies enable for those that were on

-- A company counts if it existed before step 12: the step has saved a value of it, or the company is no younger than the newest
-- one that the step found, and was made well before the step began. Times without a time zone may be in any zone, so a company of
-- the same day counts only if a value of it is saved. The newest is used because the clock may have been fast at the step.
-- check: company-flags: every company from before the step, deleted or not, has features.callEnabled, true or false
SELECT c.id, c.settings #> '{features,callEnabled}' AS call_enabled
FROM chatapp.companies AS c
WHERE jsonb_typeof(c.settings #> '{features,callEnabled}') IS DISTINCT FROM 'boolean'
  AND (c.id IN (SELECT flag.row_id FROM callctl.saved_value AS flag
                WHERE flag.relation = 'companies' AND flag.field = 'settings.features.callEnabled' AND flag.saved_by = 'up'
                  AND flag.superseded_at IS NULL)
       OR (to_jsonb(c) ->> 'created_at')::timestamp <= (
         SELECT least(max(h.started_at) AT TIME ZONE 'UTC' - interval '14 hours',
                      (SELECT max((d.detail ->> 'newest')::timestamp) FROM callctl.definition AS d
                       WHERE d.step = 12 AND d.kind = 'newest row'))
         FROM callctl.history AS h WHERE h.step = 12 AND h.direction = 'up'));

-- While the type column exists, the old application makes call bots without call settings; step 6 adds them.
-- check: call-settings-present: every call-enabled chatbot has call settings
SELECT c.id FROM chatapp.chatbots AS c
WHERE c.enabled_call
  AND NOT record_image_eq(ROW(c.settings -> 'call'), ROW((SELECT nullif(current_setting('callctl.default_call_settings', true), '')::jsonb)))
  AND COALESCE(c.settings -> 'call', '{}') IN ('{}', 'null')
  AND NOT EXISTS (
    SELECT FROM pg_trigger AS t
    WHERE t.tgrelid = 'chatapp.chatbots'::regclass AND t.tgname = 'zzz_callctl_sync_2_flags');
