-- The archived tables and how many rows each holds (the planner's estimate, unless it never looked).
SELECT c.relname, greatest(c.reltuples, 0)::bigint AS rows
FROM pg_class AS c
WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'callctl') AND c.relkind = 'r'
  AND c.relname IN ('integration_accounts', 'calls', 'call_transcripts')
ORDER BY c.relname
