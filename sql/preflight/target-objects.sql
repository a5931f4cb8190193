-- finding: target-objects
-- begun: skip
-- ok: no object that the pending steps make exists already
-- why: the step would stop at its first CREATE, and callctl cannot tell a partly applied migration from an
--      object of another program
-- do: run callctl migrate adopt, if the step was done by hand; otherwise rename or drop the object

SELECT
    'blocks' AS level,
    format('column %s.%I is there already (%s), and step %s is still to make it', c.oid::regclass, a.attname,
           format_type(a.atttypid, a.atttypmod), t.step) AS what,
    format('%s.%I', c.oid::regclass, a.attname) AS object,
    ARRAY[t.step] AS steps
FROM (VALUES
    (2, 'chatbot_packages', 'enable_chat'),
    (2, 'chatbot_packages', 'enable_call'),
    (3, 'chatbots', 'enabled_chat'),
    (3, 'chatbots', 'enabled_call'),
    (7, 'ai_models', 'model_type')
) AS t(step, name, col)
JOIN pg_catalog.pg_class AS c ON c.relname = t.name AND c.relnamespace = 'chatapp'::regnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attname = t.col AND NOT a.attisdropped;

SELECT
    'blocks' AS level,
    format('%s %s exists already, and step %s is still to make it',
           CASE c.relkind WHEN 'r' THEN 'table' WHEN 'i' THEN 'index' WHEN 'v' THEN 'view' ELSE 'relation' END,
           c.oid::regclass, t.step) AS what,
    c.oid::regclass::text AS object,
    ARRAY[t.step] AS steps
FROM (VALUES
    (4, 'idx_chatbot_packages_capabilities'),
    (4, 'idx_chatbots_capabilities'),
    (4, 'idx_chatbots_company_capabilities'),
    (7, 'idx_ai_models_model_type'),
    (9, 'integration_accounts'),
    (9, 'idx_integration_accounts_company_id'),
    (9, 'idx_integration_accounts_account_type'),
    (9, 'idx_integration_accounts_status'),
    (9, 'idx_integration_accounts_webhook_url'),
    (10, 'calls'),
    (10, 'idx_calls_company_id'),
    (10, 'idx_calls_chatbot_id'),
    (10, 'idx_calls_end_user_id'),
    (10, 'idx_calls_conversation_id'),
    (10, 'idx_calls_call_sid'),
    (10, 'idx_calls_status'),
    (10, 'idx_calls_date_range'),
    (10, 'idx_calls_integration_account'),
    (11, 'call_transcripts'),
    (11, 'idx_call_transcripts_call_id'),
    (11, 'idx_call_transcripts_role'),
    (11, 'idx_call_transcripts_content_search')
) AS t(step, name)
JOIN pg_catalog.pg_class AS c ON c.relname = t.name AND c.relnamespace = 'chatapp'::regnamespace;

SELECT
    'blocks' AS level,
    format('type %s has the name of a table that step %s is to make', y.oid::regtype, t.step) AS what,
    y.oid::regtype::text AS object,
    ARRAY[t.step] AS steps
FROM (VALUES (9, 'integration_accounts'), (10, 'calls'), (11, 'call_transcripts')) AS t(step, name)
JOIN pg_catalog.pg_type AS y
    ON y.typname = t.name AND y.typnamespace = 'chatapp'::regnamespace AND y.typrelid = 0 AND y.typelem = 0;

SELECT
    'blocks' AS level,
    format('constraint %I on %s exists already, and step %s is still to make it', k.conname, k.conrelid::regclass, t.step)
        AS what,
    format('%I on %s', k.conname, k.conrelid::regclass) AS object,
    ARRAY[t.step] AS steps
FROM (VALUES
    (4, 'chatbot_packages', 'chatbot_packages_capability_check'),
    (4, 'chatbots', 'chatbots_capability_check'),
    (7, 'ai_models', 'ai_models_model_type_check')
) AS t(step, name, con)
JOIN pg_catalog.pg_class AS c ON c.relname = t.name AND c.relnamespace = 'chatapp'::regnamespace
JOIN pg_catalog.pg_constraint AS k ON k.conrelid = c.oid AND k.conname = t.con;

SELECT
    'blocks' AS level,
    format('function %s exists already, and step 6 is still to make it', p.oid::regprocedure) AS what,
    p.oid::regprocedure::text AS object,
    ARRAY[6] AS steps
FROM pg_catalog.pg_proc AS p
WHERE p.proname = 'check_chatbot_capabilities' AND p.pronamespace = 'chatapp'::regnamespace;

SELECT
    'blocks' AS level,
    format('trigger %I on %s exists already, and step 6 is still to make it', g.tgname, c.oid::regclass) AS what,
    format('%I on %s', g.tgname, c.oid::regclass) AS object,
    ARRAY[6] AS steps
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_trigger AS g ON g.tgrelid = c.oid AND g.tgname = 'check_chatbot_capabilities'
WHERE c.relname = 'chatbots' AND c.relnamespace = 'chatapp'::regnamespace;
