-- As rows.sql, and the rows in which something looks like a secret in plaintext: a token of a known shape, a member
-- whose name says so, or a column. A regular expression costs as much as thirty
-- patterns of LIKE: it is asked last.
SELECT {row_id}, {account_type}, {base}, {columns}
FROM (
  SELECT t.ctid, t.*, ({texts}) COLLATE "C" AS "callctl texts", ({documents}) COLLATE "C" AS "callctl documents",
    ({bytes}) COLLATE "C" AS "callctl bytes"
  FROM ONLY {relation} AS t
  WHERE {range}
  OFFSET 0) AS t
WHERE ({texts_hold}) OR ({documents_hold}) OR ({bytes_hold})
  OR (t."callctl texts" LIKE ANY ({pieces}::text[]) AND t."callctl texts" ~ {shapes})
  OR (t."callctl documents" LIKE ANY ({pieces}::text[]) AND t."callctl documents" ~ {shapes})
  OR (lower(t."callctl documents") LIKE ANY ({parts}::text[])
      AND lower(t."callctl documents") LIKE ANY ({ends}::text[]) AND t."callctl documents" ~* {names})
  {named}
