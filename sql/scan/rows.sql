-- The rows of one table in which something looks like an envelope or a secret. Only they leave the server. What is looked
-- through is put together once a row; OFFSET 0 keeps the planner from doing it once a condition. (LATERAL would do the same, but
-- not in several processes.) %(pieces)s, %(tags)s, %(parts)s: for LIKE; %(shapes)s, %(names)s: regular expressions
SELECT {row_id}, {table}, {account_type}, {base}, {columns}
FROM (
  SELECT t.ctid, t.*, array_to_string(ARRAY[{texts}]::text[], E'\n') COLLATE "C" AS "callctl texts",
         array_to_string(ARRAY[{documents}]::text[], E'\n') COLLATE "C" AS "callctl documents"
  FROM {relation} AS t
  OFFSET 0) AS t
WHERE t."callctl texts" LIKE ANY (%(tags)s::text[]) OR t."callctl documents" LIKE ANY (%(tags)s::text[])
  OR (lower(t."callctl documents") LIKE ANY (%(parts)s::text[]) AND t."callctl documents" ~* %(names)s)
  OR (t."callctl texts" LIKE ANY (%(pieces)s::text[]) AND t."callctl texts" ~ %(shapes)s)
  OR (t."callctl documents" LIKE ANY (%(pieces)s::text[]) AND t."callctl documents" ~ %(shapes)s)
  {named}
