-- The constraints of these tables; of a foreign key the table that it refers to, and what a DELETE does there.
SELECT k.conrelid::bigint AS relation, k.conname AS name, k.contype::text AS kind, k.convalidated AS validated,
       nullif(k.confrelid, 0)::bigint AS refers_to, k.confdeltype::text AS on_delete,
       array(SELECT a.attname FROM pg_attribute AS a WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)) AS columns,
       array(SELECT a.attname FROM pg_attribute AS a WHERE a.attrelid = k.confrelid AND a.attnum = ANY (k.confkey)) AS referred
FROM pg_constraint AS k
WHERE k.conrelid <> 0 AND k.contype IN ('c', 'f', 'p', 'u', 'x', 'n')
