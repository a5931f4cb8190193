-- steps: 2-4, 12
-- pending: 6
-- means: a chatbot that the old application made answers calls without a voice of its own until the drops are taken
-- mends: callctl settings init gives them the defaults, and so does step 6 (callctl migrate up)

-- check (warns): call-settings-awaited: no call-enabled chatbot is without call settings until step 6 gives it the defaults
SELECT c.id FROM chatapp.chatbots AS c
WHERE c.enabled_call AND COALESCE(c.settings -> 'call', '{}') IN ('{}', 'null');
