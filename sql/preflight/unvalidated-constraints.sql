-- finding: unvalidated-constraints
-- direction: both
-- ok: every constraint of the tables to be changed is validated
-- why: a row that breaks a NOT VALID constraint is refused as soon as a backfill updates it, and the step
--      stops there
-- do: fix the rows that break it, then validate it

SELECT
    'warns' AS level,
    format('constraint %I on %s was never validated', k.conname, c.oid::regclass) AS what,
    format('%I on %s', k.conname, c.oid::regclass) AS object,
    format('ALTER TABLE %s VALIDATE CONSTRAINT %I; it names a row that breaks the constraint', c.oid::regclass, k.conname) AS fix
FROM pg_catalog.pg_constraint AS k
JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
WHERE c.relnamespace = 'chatapp'::regnamespace
  AND c.relname IN ('users', 'chatbot_packages', 'chatbots', 'ai_models', 'companies', 'end_users', 'conversations',
                    'integration_accounts', 'calls', 'call_transcripts')
  AND NOT k.convalidated;
