-- The columns of ai_models: name, whether a row needs a value for it, its type, what a numeric or a text of limited length
-- keeps, and the labels of an enum. A numeric's scale is eleven bits with a sign. %(schema)s
SELECT a.attname, a.attnotnull AND NOT a.atthasdef AND a.attidentity = '', format_type(a.atttypid, NULL),
       CASE WHEN a.atttypid = 'numeric'::regtype AND a.atttypmod > 4 THEN (a.atttypmod - 4) >> 16 & 65535 END,
       CASE WHEN a.atttypid = 'numeric'::regtype AND a.atttypmod > 4 THEN (((a.atttypmod - 4) & 2047) # 1024) - 1024 END,
       CASE WHEN a.atttypid IN ('varchar'::regtype, 'bpchar'::regtype) AND a.atttypmod > 4 THEN a.atttypmod - 4 END,
       (SELECT array_agg(e.enumlabel::text ORDER BY e.enumsortorder) FROM pg_enum AS e WHERE e.enumtypid = a.atttypid)
FROM pg_attribute AS a
JOIN pg_class AS c ON c.oid = a.attrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = 'ai_models' AND a.attnum > 0 AND NOT a.attisdropped
