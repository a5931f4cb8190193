-- steps: 12
-- means: such a chatbot answers calls in the application's default voice
-- fix: choose a voice for the chatbot in the administration

-- L2424, L2432: a chatbot that takes calls needs both. Settings from before the migration are left as they are, so this is
-- a warning.
-- check (warns): call-settings-voice: every call-enabled chatbot with call settings names a voice and its provider
SELECT c.id, c.settings #> '{call,voiceId}' AS voice_id, c.settings #> '{call,voiceProvider}' AS provider
FROM chatapp.chatbots AS c
WHERE c.enabled_call
  AND NOT record_image_eq(ROW(c.settings -> 'call'), ROW((SELECT nullif(current_setting('callctl.default_call_settings', true), '')::jsonb)))
  AND NOT c.settings -> 'call' ?& ARRAY['voiceId', 'voiceProvider']
  AND c.settings -> 'call' NOT IN ('{}', 'null');
