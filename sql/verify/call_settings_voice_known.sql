-- steps: 12
-- means: the voice provider may refuse the call's session
-- fix: choose a voice of the provider for the chatbot in the administration; callctl settings check lists them

-- L2424 and L2691: a voice must be one of its provider's. The specification lists the voices of openai, but not those of the
-- other providers. Settings from before the migration are left as they are, and providers add voices: so this is a warning.
-- Each comparison unpacks the settings, so the one that decides most rows comes first.
-- check (warns): call-settings-voice-known: every call-enabled chatbot with a voice of openai has one that the specification lists
SELECT c.id, c.settings #> '{call,voiceProvider}' AS provider FROM chatapp.chatbots AS c
WHERE c.enabled_call
  AND NOT record_image_eq(ROW(c.settings -> 'call'), ROW((SELECT nullif(current_setting('callctl.default_call_settings', true), '')::jsonb)))
  AND c.settings #> '{call,voiceId}' NOT IN ('"alloy"', '"echo"', '"fable"', '"onyx"', '"nova"', '"shimmer"')
  AND c.settings #> '{call,voiceProvider}' = '"openai"' AND jsonb_typeof(c.settings #> '{call,voiceId}') = 'string';
