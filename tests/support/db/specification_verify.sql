-- The specification's own verification: every query it gives to look at the result with, in its order. Where its two spellings
-- of soft delete disagree with its own tables, the one that the table has. "expects" is what it says of the answer: 'none' no
-- row, 'zeros' nothing but 0, a number that many rows; where it says nothing, a person has to know.

-- L134-152: backfill.
SELECT COUNT(*) AS total, SUM(CASE WHEN enable_chat THEN 1 ELSE 0 END), SUM(CASE WHEN enable_call THEN 1 ELSE 0 END),
       SUM(CASE WHEN enable_chat AND enable_call THEN 1 ELSE 0 END)
FROM chatapp.chatbot_packages WHERE deletedAt IS NULL;

-- L134-152, of chatbots.
SELECT COUNT(*) AS total, SUM(CASE WHEN enabled_chat THEN 1 ELSE 0 END), SUM(CASE WHEN enabled_call THEN 1 ELSE 0 END),
       SUM(CASE WHEN enabled_chat AND enabled_call THEN 1 ELSE 0 END)
FROM chatapp.chatbots WHERE deletedAt IS NULL;

-- L564: the column's type.
SELECT column_name, data_type, character_maximum_length FROM information_schema.columns
WHERE table_schema = 'chatapp' AND table_name = 'users' AND column_name = 'avatar_url';

-- L1224: integration_accounts.
SELECT * FROM information_schema.tables WHERE table_schema = 'chatapp' AND table_name = 'integration_accounts';

SELECT constraint_name, constraint_type FROM information_schema.table_constraints
WHERE table_schema = 'chatapp' AND table_name = 'integration_accounts';

SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'chatapp' AND tablename = 'integration_accounts';

-- L1724: calls.
SELECT * FROM information_schema.tables WHERE table_schema = 'chatapp' AND table_name = 'calls';

SELECT constraint_name, constraint_type FROM information_schema.table_constraints
WHERE table_schema = 'chatapp' AND table_name = 'calls';

-- L2097: call_transcripts.
SELECT * FROM information_schema.tables WHERE table_schema = 'chatapp' AND table_name = 'call_transcripts';

-- L2233: the companies' flag.
SELECT COUNT(*), SUM(CASE WHEN (settings->'features'->>'callEnabled')::boolean = false THEN 1 ELSE 0 END),
       SUM(CASE WHEN (settings->'features'->>'callEnabled')::boolean = true THEN 1 ELSE 0 END),
       SUM(CASE WHEN settings->'features'->'callEnabled' IS NULL THEN 1 ELSE 0 END)
FROM chatapp.companies WHERE deleted_at IS NULL;

-- L2607: the chatbots' call settings.
SELECT COUNT(*), SUM(CASE WHEN settings->'call' IS NOT NULL THEN 1 ELSE 0 END), SUM(CASE WHEN settings->'call' IS NULL THEN 1 ELSE 0 END)
FROM chatapp.chatbots WHERE enabled_call = true AND deletedAt IS NULL;

-- L2942, 1: all tables exist. expects: 3
SELECT table_name FROM information_schema.tables
WHERE table_schema = 'chatapp' AND table_name IN ('integration_accounts', 'calls', 'call_transcripts');

-- L2948, 2: columns added. expects: 2
SELECT column_name, data_type FROM information_schema.columns
WHERE table_schema = 'chatapp' AND table_name = 'chatbot_packages' AND column_name IN ('enable_chat', 'enable_call');

-- L2955, 3: indexes created.
SELECT indexname FROM pg_indexes WHERE schemaname = 'chatapp' AND indexname LIKE '%call%';

-- L2961, 4: data integrity. expects: zeros
SELECT (SELECT COUNT(*) FROM chatapp.chatbot_packages WHERE enable_chat IS NULL),
       (SELECT COUNT(*) FROM chatapp.chatbots WHERE enabled_chat IS NULL),
       (SELECT COUNT(*) FROM chatapp.ai_models WHERE model_type IS NULL),
       (SELECT COUNT(*) FROM chatapp.companies WHERE settings->'features'->'callEnabled' IS NULL);

-- L3129: models by type.
SELECT provider, model_type, COUNT(*) FROM chatapp.ai_models WHERE deletedAt IS NULL GROUP BY provider, model_type ORDER BY provider, model_type;

-- L3380, test 1. expects: none
SELECT id, name, enabled_chat, enabled_call FROM chatapp.chatbots
WHERE NOT (enabled_chat = true OR enabled_call = true) AND deletedAt IS NULL;

-- Test 2. expects: none
SELECT id, name, settings->'call' FROM chatapp.chatbots
WHERE enabled_call = true AND (settings->'call' IS NULL OR settings->'call' = '{}'::jsonb) AND deletedAt IS NULL;

-- Test 3. expects: none
SELECT c.id FROM chatapp.calls c LEFT JOIN chatapp.chatbots cb ON c.chatbot_id = cb.id
WHERE cb.id IS NULL AND c.deleted_at IS NULL;

-- Test 4. expects: none
SELECT ct.id FROM chatapp.call_transcripts ct LEFT JOIN chatapp.calls c ON ct.call_id = c.id WHERE c.id IS NULL;
