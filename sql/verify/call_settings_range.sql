-- steps: 12
-- means: the voice provider refuses the call's session, or the widget shows nothing
-- fix: correct the chatbot's call settings in the administration; callctl settings check names each error

-- The ranges are those of sql/call-settings.schema.json (L2418-2528 and L2689-2700); a test compares the two.
-- An absent field takes its default, and is no offence.
-- jsonb is ordered by type first (null, string, number, boolean, array, object), so BETWEEN two numbers is true of numbers
-- only. Most settings equal the defaults of step 12, and one comparison accepts them. migration/checks/verify_session.sql
-- sets the defaults; without them, every row is checked. The other checks of call settings begin in the same words.
-- check: call-settings-in-range: the call settings of every call-enabled chatbot are within their documented ranges
SELECT c.id, (
  SELECT string_agg(r.field, ', ' ORDER BY r.field)
  FROM (VALUES
    ('voiceId', '{voiceId}'::text[], 'string', NULL::numeric, NULL::numeric, NULL),
    ('voiceProvider', '{voiceProvider}', 'string', NULL, NULL, '^(openai|google|elevenlabs)$'),
    ('voiceSettings', '{voiceSettings}', 'object', NULL, NULL, NULL),
    ('voiceSettings.pitch', '{voiceSettings,pitch}', 'number', -1, 1, NULL),
    ('voiceSettings.speed', '{voiceSettings,speed}', 'number', 0.5, 2, NULL),
    ('voiceSettings.stability', '{voiceSettings,stability}', 'number', 0, 1, NULL),
    ('callGreeting', '{callGreeting}', 'string', 0, 500, NULL),
    ('endCallPhrase', '{endCallPhrase}', 'string', NULL, NULL, NULL),
    ('silenceTimeout', '{silenceTimeout}', 'number', 30, 300, NULL),
    ('maxCallDuration', '{maxCallDuration}', 'number', 60, 3600, NULL),
    ('recordingEnabled', '{recordingEnabled}', 'boolean', NULL, NULL, NULL),
    ('transcriptionEnabled', '{transcriptionEnabled}', 'boolean', NULL, NULL, NULL),
    ('interruptionEnabled', '{interruptionEnabled}', 'boolean', NULL, NULL, NULL),
    ('callButtonText', '{callButtonText}', 'string', 0, 50, NULL),
    ('callButtonColor', '{callButtonColor}', 'string', NULL, NULL, '^#[0-9A-Fa-f]{6}$'),
    ('callButtonPosition', '{callButtonPosition}', 'string', NULL, NULL, '^(bottom|top)-(left|right)$'),
    ('vadThreshold', '{vadThreshold}', 'number', 0, 1, NULL),
    ('echoCancellation', '{echoCancellation}', 'boolean', NULL, NULL, NULL),
    ('noiseSuppression', '{noiseSuppression}', 'boolean', NULL, NULL, NULL)
  ) AS r (field, path, kind, low, high, form)
  WHERE CASE
    WHEN jsonb_typeof(c.settings -> 'call' #> r.path) <> r.kind THEN true
    WHEN r.form IS NOT NULL THEN c.settings -> 'call' #>> r.path !~ r.form
    WHEN r.kind = 'number' THEN (c.settings -> 'call' #>> r.path)::numeric NOT BETWEEN r.low AND r.high
      OR r.field IN ('silenceTimeout', 'maxCallDuration') AND (c.settings -> 'call' #>> r.path)::numeric % 1 <> 0
    ELSE length(c.settings -> 'call' #>> r.path) > r.high END
) AS fields
FROM chatapp.chatbots AS c
WHERE c.enabled_call
  AND NOT record_image_eq(ROW(c.settings -> 'call'), ROW((SELECT nullif(current_setting('callctl.default_call_settings', true), '')::jsonb)))
  AND (
     jsonb_typeof(c.settings -> 'call') NOT IN ('object', 'null')
  OR jsonb_typeof(c.settings #> '{call,voiceId}') <> 'string'
  OR c.settings #> '{call,voiceProvider}' NOT IN ('"openai"', '"google"', '"elevenlabs"')
  OR jsonb_typeof(c.settings #> '{call,voiceSettings}') <> 'object'
  OR c.settings #> '{call,voiceSettings,pitch}' NOT BETWEEN '-1' AND '1'
  OR c.settings #> '{call,voiceSettings,speed}' NOT BETWEEN '0.5' AND '2'
  OR c.settings #> '{call,voiceSettings,stability}' NOT BETWEEN '0' AND '1'
  OR jsonb_typeof(c.settings #> '{call,callGreeting}') <> 'string' OR length(c.settings #>> '{call,callGreeting}') > 500
  OR jsonb_typeof(c.settings #> '{call,endCallPhrase}') <> 'string'
  OR CASE WHEN c.settings #> '{call,silenceTimeout}' NOT BETWEEN '30' AND '300' THEN true
     ELSE (c.settings #>> '{call,silenceTimeout}')::numeric % 1 <> 0 END
  OR CASE WHEN c.settings #> '{call,maxCallDuration}' NOT BETWEEN '60' AND '3600' THEN true
     ELSE (c.settings #>> '{call,maxCallDuration}')::numeric % 1 <> 0 END
  OR c.settings #> '{call,recordingEnabled}' NOT IN ('true', 'false')
  OR c.settings #> '{call,transcriptionEnabled}' NOT IN ('true', 'false')
  OR c.settings #> '{call,interruptionEnabled}' NOT IN ('true', 'false')
  OR jsonb_typeof(c.settings #> '{call,callButtonText}') <> 'string' OR length(c.settings #>> '{call,callButtonText}') > 50
  OR jsonb_typeof(c.settings #> '{call,callButtonColor}') <> 'string' OR c.settings #>> '{call,callButtonColor}' !~ '^#[0-9A-Fa-f]{6}$'
  OR c.settings #> '{call,callButtonPosition}' NOT IN ('"bottom-right"', '"bottom-left"', '"top-right"', '"top-left"')
  OR c.settings #> '{call,vadThreshold}' NOT BETWEEN '0' AND '1'
  OR c.settings #> '{call,echoCancellation}' NOT IN ('true', 'false')
  OR c.settings #> '{call,noiseSuppression}' NOT IN ('true', 'false'));
