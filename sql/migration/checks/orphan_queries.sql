-- For each foreign key that going down from the steps %(steps)s makes again and validates: the query that counts the rows which
-- name no row, and the statement that does with them what deleting the row would have done (none where that is to refuse).
-- The same keys as callctl.keys_that_refuse(), and in a step that has begun those that callctl.key_validations() still has to do.
-- Schema of the platform: %(schema)s.
SELECT t.step, c.oid::regclass::text AS relation, k.conname::text AS name, k.confrelid::regclass::text AS refers_to,
       -- Row security makes a row that this role may not see look like one that is gone.
       row_security_active(c.oid) OR row_security_active(r.oid) AS hidden,
       format('SELECT count(*) AS rows, (array_agg(concat_ws('', '', %%s) ORDER BY %%s))[1:10] AS names FROM %%s AS c WHERE %%s',
              coalesce(i.key, 'c.ctid::text'), coalesce(i.key, 'c.ctid::text'), c.oid::regclass, w.broken) AS query,
       CASE k.confdeltype
         WHEN 'c' THEN format('DELETE FROM %%s AS c WHERE %%s;', c.oid::regclass, w.broken)
         WHEN 'n' THEN format('UPDATE %%s AS c SET %%s WHERE %%s;', c.oid::regclass, w.nulls, w.broken)
       END AS statement
FROM (VALUES (9, 'integration_accounts'), (10, 'calls')) AS t(step, name)
JOIN pg_catalog.pg_namespace AS n ON n.nspname = %(schema)s
JOIN pg_catalog.pg_class AS c ON c.relname = t.name AND c.relnamespace = n.oid
JOIN pg_catalog.pg_constraint AS k ON k.conrelid = c.oid AND k.contype = 'f'
JOIN pg_catalog.pg_class AS r ON r.oid = k.confrelid
CROSS JOIN LATERAL (
  SELECT format('%%s AND NOT EXISTS (SELECT FROM %%s AS p WHERE %%s)', string_agg(format('c.%%I IS NOT NULL', a.attname), ' AND ' ORDER BY u.place),
                k.confrelid::regclass, string_agg(format('p.%%I = c.%%I', f.attname, a.attname), ' AND ' ORDER BY u.place)) AS broken,
         string_agg(format('%%I = NULL', a.attname), ', ' ORDER BY u.place) AS nulls
  FROM unnest(k.conkey, k.confkey) WITH ORDINALITY AS u(here, there, place)
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = u.here
  JOIN pg_catalog.pg_attribute AS f ON f.attrelid = k.confrelid AND f.attnum = u.there
) AS w
LEFT JOIN LATERAL (
  SELECT string_agg(format('c.%%I', a.attname), ', ' ORDER BY a.attnum) AS key
  FROM pg_catalog.pg_index AS x
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = x.indrelid AND a.attnum = ANY (x.indkey::smallint[])
  WHERE x.indrelid = c.oid AND x.indisprimary
) AS i ON true
WHERE t.step = ANY (%(steps)s::integer[])
  AND (to_jsonb(k) ->> 'conperiod' = 'true') IS NOT TRUE
  AND r.relname NOT IN ('integration_accounts', 'calls', 'call_transcripts')
  AND (k.confupdtype = 'a' AND k.convalidated
       OR NOT k.convalidated AND EXISTS (SELECT FROM callctl.definition AS d
                                         WHERE d.step = t.step AND d.kind = 'foreign key' AND d.name = k.conname
                                           AND (d.detail ->> 'validated')::boolean))
ORDER BY t.step DESC, k.conname
