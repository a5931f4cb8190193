-- steps: 1
-- fast: yes
-- means: lists are slow, and a unique rule may not be enforced
-- fix: run the statement in the row

-- check: indexes-valid: no index of the platform is invalid
SELECT format('%I.%I', n.nspname, c.relname) AS index, i.indrelid::regclass AS table,
       format(CASE WHEN c.relname ~ '_cc(new|old)\d*$' THEN 'DROP INDEX CONCURRENTLY %I.%I;' ELSE 'REINDEX INDEX CONCURRENTLY %I.%I;' END,
              n.nspname, c.relname) AS statement
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relnamespace = 'chatapp'::regnamespace AND NOT (i.indisvalid AND i.indisready);
