-- The rows of one table in which something looks like an envelope. Only they leave the server. What is looked through is put
-- together once a row; OFFSET 0 keeps the planner from doing it once a condition. (LATERAL would do the same, but not in several
-- processes.) Each column is shown by its type's output function, never by a user-defined cast.
SELECT {row_id}, {account_type}, {base}, {columns}
FROM (
  SELECT t.ctid, t.*, ({texts}) COLLATE "C" AS "callctl texts", ({documents}) COLLATE "C" AS "callctl documents",
    ({bytes}) COLLATE "C" AS "callctl bytes"
  FROM ONLY {relation} AS t
  WHERE {range}
  OFFSET 0) AS t
WHERE ({texts_hold}) OR ({documents_hold}) OR ({bytes_hold})
