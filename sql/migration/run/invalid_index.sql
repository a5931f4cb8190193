-- What drops the invalid leftover of an index that was being built concurrently. %(name)s, %(schema)s
SELECT format('DROP INDEX CONCURRENTLY %%I.%%I', n.nspname, c.relname)
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relname = %(name)s AND n.nspname = %(schema)s AND NOT i.indisvalid
