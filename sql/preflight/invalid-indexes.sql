-- finding: invalid-indexes
-- direction: both
-- ok: every index of the tables to be changed is valid
-- why: an invalid index, left by a concurrent build that failed, slows every write and serves no query
-- do: REINDEX INDEX CONCURRENTLY it, or DROP INDEX CONCURRENTLY it

SELECT
    'warns' AS level,
    format('index %s on %s is invalid', i.indexrelid::regclass, c.oid::regclass) AS what,
    i.indexrelid::regclass::text AS object,
    format('REINDEX INDEX CONCURRENTLY %s; or DROP INDEX CONCURRENTLY %s;', i.indexrelid::regclass, i.indexrelid::regclass) AS fix
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indrelid
WHERE c.relnamespace = 'chatapp'::regnamespace
  AND c.relname IN ('users', 'chatbot_packages', 'chatbots', 'ai_models', 'companies', 'end_users', 'conversations',
                    'integration_accounts', 'calls', 'call_transcripts')
  AND NOT (i.indisvalid AND i.indisready);
