-- fast: yes
-- means: rows are written that no trigger has checked, and deletions leave rows that belonged to the deleted one
-- fix: run the statement in the row (as a superuser for a foreign key's trigger); then run verify again, without --fast

-- DISABLE TRIGGER ALL also disables the server's own triggers, two on each side of a foreign key.
-- check: foreign-keys-watched: the triggers of every foreign key are enabled, on each table that callctl relies on
SELECT c.oid::regclass AS table, format('%I of %s', k.conname, k.conrelid::regclass) AS foreign_key,
       CASE t.tgenabled WHEN 'R' THEN 'on replicas only' ELSE 'off' END AS is,
       format('ALTER TABLE %s ENABLE TRIGGER %I;', c.oid::regclass, t.tgname) AS statement
FROM pg_trigger AS t
JOIN pg_constraint AS k ON k.oid = t.tgconstraint AND k.contype = 'f'
JOIN pg_class AS c ON c.oid = t.tgrelid
WHERE t.tgisinternal AND t.tgenabled NOT IN ('O', 'A')
  AND (c.relnamespace = 'callctl'::regnamespace
       OR c.relnamespace = 'chatapp'::regnamespace
          AND c.relname IN ('users', 'companies', 'chatbots', 'chatbot_packages', 'ai_models', 'end_users', 'conversations',
                            'integration_accounts', 'calls', 'call_transcripts'))
ORDER BY 1, 2, 4;

-- The checks of the contract's tables compare the contract's triggers, and fail there.
-- check (warns): triggers-enabled: no trigger of the platform is disabled on a table that callctl relies on
SELECT c.oid::regclass AS table, t.tgname AS trigger, CASE t.tgenabled WHEN 'R' THEN 'on replicas only' ELSE 'off' END AS is,
       format('ALTER TABLE %s ENABLE TRIGGER %I;', c.oid::regclass, t.tgname) AS statement
FROM pg_trigger AS t
JOIN pg_class AS c ON c.oid = t.tgrelid
JOIN pg_proc AS p ON p.oid = t.tgfoid
WHERE NOT t.tgisinternal AND t.tgenabled NOT IN ('O', 'A') AND p.pronamespace <> 'callctl'::regnamespace
  AND t.tgname NOT IN ('check_chatbot_capabilities', 'update_integration_accounts_updated_at', 'update_calls_updated_at')
  AND c.relnamespace = 'chatapp'::regnamespace
  AND c.relname IN ('users', 'companies', 'chatbots', 'chatbot_packages', 'ai_models', 'end_users', 'conversations',
                    'integration_accounts', 'calls', 'call_transcripts')
ORDER BY 1, 2;
