-- The settings of verify's transaction: no object of the session hides the server's own, no query takes longer than its
-- timeout, the ids of the keys that there are (none: not set), and the defaults of step 12, byte for byte, with which the checks
-- of call settings compare first.
-- Then what a few long scans with large hash tables need: memory for the tables, and nothing compiled.
SELECT set_config('search_path', 'pg_catalog', true), set_config('quote_all_identifiers', 'off', true), set_config('TimeZone', 'UTC', true),
       set_config('statement_timeout', %(timeout)s, true),
       set_config('callctl.known_keys', %(known_keys)s, true),
       set_config('callctl.default_call_settings', '{
         "voiceId": "alloy", "voiceProvider": "openai", "voiceSettings": {"pitch": 0, "speed": 1.0, "stability": 0.5},
         "callGreeting": "Hi, I''m your AI assistant. How can I help you today?", "endCallPhrase": "goodbye", "silenceTimeout": 180,
         "maxCallDuration": 600, "recordingEnabled": false, "transcriptionEnabled": true, "interruptionEnabled": true,
         "callButtonText": "Call Us", "callButtonColor": "#22C55E", "callButtonPosition": "bottom-right", "vadThreshold": 0.5,
         "echoCancellation": true, "noiseSuppression": true}', true),
       set_config('work_mem', greatest(pg_size_bytes(current_setting('work_mem')), 64 * 1024 * 1024) / 1024 || 'kB', true),
       set_config('jit', 'off', true)
