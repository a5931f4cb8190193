-- steps: 1
-- fast: yes
-- means: lists are slow, and a unique rule may not hold
-- mends: REINDEX INDEX CONCURRENTLY, or drop it if its name ends in _ccnew or _ccold

-- check: indexes-valid: no index of the platform is invalid
SELECT format('%I.%I', n.nspname, c.relname) AS index, i.indrelid::regclass AS table
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relnamespace = 'chatapp'::regnamespace AND NOT (i.indisvalid AND i.indisready);
