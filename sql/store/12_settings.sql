-- Settings: one path is set or restored, every other byte stays. Without a SET, so that PostgreSQL inlines them: called for
-- each row, they cost more than the row's own update.

-- These two are asked for every company: the planner takes such a function apart and runs its body in the statement, unless
-- something in it is less than IMMUTABLE, as jsonb_build_object() is.
CREATE OR REPLACE FUNCTION callctl.with_call_flag(p_settings jsonb, p_flag jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN coalesce(p_settings -> 'features', 'null') = 'null'
              THEN jsonb_set(coalesce(p_settings, '{}'), '{features}', jsonb_set('{}', '{callEnabled}', p_flag))
              ELSE jsonb_set(p_settings, '{features,callEnabled}', p_flag) END
$$;
COMMENT ON FUNCTION callctl.with_call_flag(jsonb, jsonb) IS
  'Company settings with features.callEnabled set, containers made where they are missing';

CREATE OR REPLACE FUNCTION callctl.call_flag_before(p_settings jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN p_settings IS NULL THEN '{"settings": "absent"}'::jsonb
              WHEN p_settings -> 'features' IS NULL THEN '{"features": "absent"}'
              WHEN p_settings -> 'features' = 'null' THEN '{"features": null}'
              WHEN p_settings #> '{features,callEnabled}' IS NULL THEN '{"callEnabled": "absent"}'
              ELSE jsonb_set('{}', '{callEnabled}', p_settings #> '{features,callEnabled}') END
$$;
COMMENT ON FUNCTION callctl.call_flag_before(jsonb) IS
  'The earlier features.callEnabled of company settings: its value, or which container was missing';

CREATE OR REPLACE FUNCTION callctl.without_call_flag(p_settings jsonb, p_before jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE
    WHEN jsonb_typeof(p_before -> 'callEnabled') = 'boolean' THEN callctl.with_call_flag(p_settings, p_before -> 'callEnabled')
    WHEN p_before ? 'settings' AND bare = '{"features": {}}' THEN NULL
    WHEN p_before ?| ARRAY['settings', 'features'] AND bare -> 'features' = '{}' AND p_before -> 'features' = 'null'
      THEN jsonb_set(bare, '{features}', 'null')
    WHEN p_before ?| ARRAY['settings', 'features'] AND bare -> 'features' = '{}' THEN bare - 'features'
    ELSE bare END
  FROM (SELECT p_settings #- '{features,callEnabled}' AS bare) AS without
$$;
COMMENT ON FUNCTION callctl.without_call_flag(jsonb, jsonb) IS
  'Company settings with the earlier features.callEnabled; empty containers that callctl made are removed';

CREATE OR REPLACE FUNCTION callctl.default_call_settings() RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT '{
    "voiceId": "alloy",
    "voiceProvider": "openai",
    "voiceSettings": {
      "pitch": 0,
      "speed": 1.0,
      "stability": 0.5
    },
    "callGreeting": "Hi, I''m your AI assistant. How can I help you today?",
    "endCallPhrase": "goodbye",
    "silenceTimeout": 180,
    "maxCallDuration": 600,
    "recordingEnabled": false,
    "transcriptionEnabled": true,
    "interruptionEnabled": true,
    "callButtonText": "Call Us",
    "callButtonColor": "#22C55E",
    "callButtonPosition": "bottom-right",
    "vadThreshold": 0.5,
    "echoCancellation": true,
    "noiseSuppression": true
  }'::jsonb
$$;
COMMENT ON FUNCTION callctl.default_call_settings() IS
  'chatbots.settings.call as a new call-enabled chatbot gets it (specification, L2531-2555)';

CREATE OR REPLACE FUNCTION callctl.without_call_settings(p_settings jsonb, p_before jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE
    WHEN p_before ? 'call' THEN jsonb_set(coalesce(p_settings, '{}'), '{call}', p_before -> 'call')
    WHEN p_before ? 'settings' AND p_settings - 'call' = '{}' THEN NULL
    ELSE p_settings - 'call' END
$$;
COMMENT ON FUNCTION callctl.without_call_settings(jsonb, jsonb) IS
  'Chatbot settings with the earlier call: its value, or none';
