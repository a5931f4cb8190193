-- The columns of ai_models: name, whether a row needs a value for it, and the scale of a numeric. %(schema)s
SELECT a.attname, a.attnotnull AND NOT a.atthasdef AND a.attidentity = '',
       CASE WHEN a.atttypid = 'numeric'::regtype AND a.atttypmod > 4 THEN (a.atttypmod - 4) & 2047 END,
       format_type(a.atttypid, a.atttypmod)
FROM pg_attribute AS a
JOIN pg_class AS c ON c.oid = a.attrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = 'ai_models' AND a.attnum > 0 AND NOT a.attisdropped
