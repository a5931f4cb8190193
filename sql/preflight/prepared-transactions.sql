-- finding: prepared-transactions
-- direction: both
-- ok: no prepared transaction is waiting to be committed
-- why: a prepared transaction keeps its locks, also over a restart, until it is committed or rolled back, and a step waits
--      for it
-- do: COMMIT PREPARED or ROLLBACK PREPARED it, as its owner, in this database

SELECT
    CASE WHEN count(c.oid) > 0 THEN 'blocks' ELSE 'warns' END AS level,
    format('prepared transaction %L of role %s is %s old%s', p.gid, p.owner,
           date_trunc('second', clock_timestamp() - p.prepared),
           coalesce(' and holds locks on ' || string_agg(DISTINCT c.oid::regclass::text, ', '), '')) AS what,
    p.gid AS object,
    format('in this database, as %s: COMMIT PREPARED %L; or ROLLBACK PREPARED %L;', p.owner, p.gid, p.gid) AS fix
FROM pg_catalog.pg_prepared_xacts AS p
LEFT JOIN pg_catalog.pg_locks AS x
    ON x.locktype = 'transactionid' AND x.transactionid = p.transaction AND x.pid IS NULL
LEFT JOIN pg_catalog.pg_locks AS l
    ON l.locktype = 'relation' AND l.virtualtransaction = x.virtualtransaction AND l.pid IS NULL
LEFT JOIN pg_catalog.pg_class AS c
    ON c.oid = l.relation
   AND c.relnamespace = 'chatapp'::regnamespace
   AND c.relname IN ('users', 'chatbot_packages', 'chatbots', 'ai_models', 'companies', 'end_users', 'conversations',
                    'integration_accounts', 'calls', 'call_transcripts')
WHERE p.database = current_database()
GROUP BY p.gid, p.owner, p.prepared;
