-- Of which tables callctl has saved rows or values that may hold secrets; of values, under which name. %(tables)s
SELECT 'saved_row', r.relation, '' FROM callctl.saved_row AS r WHERE r.relation = ANY (%(tables)s::text[]) GROUP BY r.relation
UNION ALL
SELECT 'saved_value', v.relation, v.field FROM callctl.saved_value AS v
WHERE v.relation = ANY (%(tables)s::text[]) AND v.value IS NOT NULL GROUP BY v.relation, v.field
ORDER BY 1, 2, 3
