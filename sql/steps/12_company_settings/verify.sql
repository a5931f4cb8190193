-- Step 12: what is true once it is done, beside what sql/contract says of the catalog.
-- means: calls are off for a company, also where they had been switched on; or a call bot has no voice to answer with
-- mends: callctl settings init for chatbots; callctl companies disable --without-flag for companies, then callctl companies enable for those that were on

-- A company that was there: step 12 has saved something of it, or it is no younger than the newest that the step met, and was made
-- well before the step began. Times without a time zone may be in any, so that a company of that very day counts only if
-- something is saved of it. The newest, since the clock may have run ahead when the step was recorded.
-- check: company-flags: every company that was there, deleted or not, has features.callEnabled, true or false
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

-- While the type column is there, an application that knows of no call settings makes call bots; step 6 gives them theirs.
-- check: call-settings-present: every call-enabled chatbot has call settings
SELECT c.id FROM chatapp.chatbots AS c
WHERE c.enabled_call
  AND NOT record_image_eq(ROW(c.settings -> 'call'), ROW((SELECT nullif(current_setting('callctl.default_call_settings', true), '')::jsonb)))
  AND COALESCE(c.settings -> 'call', '{}') IN ('{}', 'null')
  AND NOT EXISTS (
    SELECT FROM pg_trigger AS t
    WHERE t.tgrelid = 'chatapp.chatbots'::regclass AND t.tgname = 'zzz_callctl_sync_2_flags');
