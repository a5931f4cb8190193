-- What a column may be called now: the columns besides the known ones that a CHECK of the steps is about.
-- %(schema)s, %(table)s, %(check)s, %(known)s
SELECT a.attname
FROM pg_constraint AS k
JOIN pg_class AS c ON c.oid = k.conrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)
WHERE n.nspname = %(schema)s AND c.relname = %(table)s AND k.conname = %(check)s AND a.attname <> ALL (%(known)s)
