-- How many parts of a declared path the rows have, at most; and how many a row has that holds an object with members, of
-- which none is the next part. The two are equal where rows could have the path, and none has it. NULL: no such row.
-- %(path)s: its parts, [] for the elements of an array; %(account_type)s: NULL for rows of any type
SELECT max(r.reached), max(r.missing)
FROM {relation} AS t
CROSS JOIN LATERAL (
  WITH RECURSIVE place (depth, value) AS (
    SELECT 0, {document}
    UNION ALL
    SELECT p.depth + 1, n.value
    FROM (SELECT depth, value, (%(path)s::text[])[depth + 1] AS part FROM place) AS p
    CROSS JOIN LATERAL (
      SELECT p.value -> p.part WHERE p.part <> '[]' AND jsonb_typeof(p.value) = 'object' AND p.value ? p.part
      UNION ALL
      SELECT e.value
      FROM jsonb_array_elements(
        CASE WHEN p.part = '[]' AND jsonb_typeof(p.value) = 'array' THEN p.value ELSE '[]' END) AS e (value)
    ) AS n (value)
  )
  SELECT max(depth) AS reached,
         max(depth) FILTER (WHERE (%(path)s::text[])[depth + 1] <> '[]' AND jsonb_typeof(value) = 'object' AND value <> '{{}}'
                              AND NOT value ? (%(path)s::text[])[depth + 1]) AS missing
  FROM place
) AS r
WHERE {condition} AND {document} IS NOT NULL AND (%(account_type)s::text IS NULL OR {account_type} = %(account_type)s)
