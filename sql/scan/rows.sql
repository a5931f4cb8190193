-- The rows of one table in which something looks like an envelope or a secret. Only they leave the server. What is looked
-- through is put together once a row; OFFSET 0 keeps the planner from doing it once a condition.
-- %(pieces)s, %(tags)s: for LIKE; %(shapes)s, %(names)s: regular expressions
SELECT {row_id}, {table}, {account_type}, {base}, {columns}
FROM {relation} AS t
CROSS JOIN LATERAL (
  SELECT array_to_string(ARRAY[{texts}]::text[], E'\n') COLLATE "C" AS texts,
         array_to_string(ARRAY[{documents}]::text[], E'\n') COLLATE "C" AS documents
  OFFSET 0) AS l
WHERE l.texts LIKE ANY (%(tags)s::text[]) OR l.documents LIKE ANY (%(tags)s::text[]) OR l.documents ~* %(names)s
  OR (l.texts LIKE ANY (%(pieces)s::text[]) AND l.texts ~ %(shapes)s)
  OR (l.documents LIKE ANY (%(pieces)s::text[]) AND l.documents ~ %(shapes)s)
  {named}
