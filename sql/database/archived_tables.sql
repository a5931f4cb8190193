-- The archived tables.
SELECT c.relname
FROM pg_class AS c
WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'callctl') AND c.relkind = 'r'
  AND c.relname IN ('integration_accounts', 'calls', 'call_transcripts')
ORDER BY c.relname
