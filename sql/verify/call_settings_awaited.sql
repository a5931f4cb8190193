-- steps: 2-4, 12
-- pending: 6
-- means: a chatbot that the old application made answers calls in the default voice until the type column is dropped
-- fix: run callctl settings init, which adds the defaults; step 6 (callctl migrate up) does it, too

-- check (warns): call-settings-awaited: every call-enabled chatbot has call settings before step 6 adds the defaults
SELECT c.id FROM chatapp.chatbots AS c
WHERE c.enabled_call AND COALESCE(c.settings -> 'call', '{}') IN ('{}', 'null');
