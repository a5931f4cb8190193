-- The rows of one table in which something looks like an envelope or a secret. Only they leave the server. What is looked
-- through is put together once a row; OFFSET 0 keeps the planner from doing it once a condition. (LATERAL would do the same, but
-- not in several processes.) A regular expression costs as much as thirty patterns of LIKE: it is asked last.
-- %(pieces)s, %(tags)s, %(parts)s, %(ends)s: for LIKE; %(shapes)s, %(names)s: regular expressions
SELECT {row_id}, {table}, {account_type}, {base}, {columns}
FROM (
  SELECT t.ctid, t.*, ({texts}) COLLATE "C" AS "callctl texts", ({documents}) COLLATE "C" AS "callctl documents"
  FROM {relation} AS t
  OFFSET 0) AS t
WHERE (t."callctl texts" LIKE ANY (%(pieces)s::text[])
       AND (t."callctl texts" LIKE ANY (%(tags)s::text[]) OR t."callctl texts" ~ %(shapes)s))
  OR (t."callctl documents" LIKE ANY (%(pieces)s::text[])
      AND (t."callctl documents" LIKE ANY (%(tags)s::text[]) OR t."callctl documents" ~ %(shapes)s))
  OR (lower(t."callctl documents") LIKE ANY (%(parts)s::text[])
      AND lower(t."callctl documents") LIKE ANY (%(ends)s::text[]) AND t."callctl documents" ~* %(names)s)
  {named}
