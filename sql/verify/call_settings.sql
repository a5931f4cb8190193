-- steps: 12

-- Ranges of L2418-2528 and L2689-2700. A field that is absent takes its default and is no offence.
-- check: call-settings-in-range: the call settings of every call-enabled chatbot are within their documented ranges
SELECT found.id, found.field, found.value
FROM (
  SELECT c.id, r.field, c.settings #> r.path AS value, r.kind, r.low, r.high
  FROM chatapp.chatbots AS c
  CROSS JOIN (VALUES
    ('voiceId', '{call,voiceId}'::text[], 'string', NULL::numeric, NULL::numeric),
    ('voiceProvider', '{call,voiceProvider}', 'string', NULL, NULL),
    ('voiceSettings.pitch', '{call,voiceSettings,pitch}', 'number', -1, 1),
    ('voiceSettings.speed', '{call,voiceSettings,speed}', 'number', 0.5, 2),
    ('voiceSettings.stability', '{call,voiceSettings,stability}', 'number', 0, 1),
    ('callGreeting', '{call,callGreeting}', 'string', 0, 500),
    ('endCallPhrase', '{call,endCallPhrase}', 'string', NULL, NULL),
    ('silenceTimeout', '{call,silenceTimeout}', 'number', 30, 300),
    ('maxCallDuration', '{call,maxCallDuration}', 'number', 60, 3600),
    ('recordingEnabled', '{call,recordingEnabled}', 'boolean', NULL, NULL),
    ('transcriptionEnabled', '{call,transcriptionEnabled}', 'boolean', NULL, NULL),
    ('interruptionEnabled', '{call,interruptionEnabled}', 'boolean', NULL, NULL),
    ('callButtonText', '{call,callButtonText}', 'string', 0, 50),
    ('callButtonColor', '{call,callButtonColor}', 'string', NULL, NULL),
    ('callButtonPosition', '{call,callButtonPosition}', 'string', NULL, NULL),
    ('vadThreshold', '{call,vadThreshold}', 'number', 0, 1),
    ('echoCancellation', '{call,echoCancellation}', 'boolean', NULL, NULL),
    ('noiseSuppression', '{call,noiseSuppression}', 'boolean', NULL, NULL)
  ) AS r (field, path, kind, low, high)
  WHERE c.enabled_call AND c.settings #> r.path IS NOT NULL
) AS found
WHERE CASE
  WHEN jsonb_typeof(found.value) <> found.kind THEN true
  WHEN found.kind = 'number' THEN (found.value #>> '{}')::numeric NOT BETWEEN found.low AND found.high
    OR (found.field IN ('silenceTimeout', 'maxCallDuration') AND (found.value #>> '{}')::numeric % 1 <> 0)
  WHEN found.high IS NOT NULL THEN length(found.value #>> '{}') > found.high
  WHEN found.field = 'voiceProvider' THEN found.value #>> '{}' NOT IN ('openai', 'google', 'elevenlabs')
  WHEN found.field = 'callButtonPosition'
    THEN found.value #>> '{}' NOT IN ('bottom-right', 'bottom-left', 'top-right', 'top-left')
  WHEN found.field = 'callButtonColor' THEN found.value #>> '{}' !~ '^#[0-9A-Fa-f]{6}$'
  ELSE false END;
