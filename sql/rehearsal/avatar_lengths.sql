-- Users by the length of avatar_url: the longest length of each range that preflight tells apart; NULL without one.
SELECT max(q.length) AS length, count(*) AS rows
FROM (
  SELECT length(x.avatar_url) AS length,
         CASE WHEN x.avatar_url IS NULL THEN 0 WHEN length(x.avatar_url) <= 100 THEN 1
              WHEN length(x.avatar_url) <= 400 THEN 2 WHEN length(x.avatar_url) <= 500 THEN 3 ELSE 4 END AS range
  FROM chatapp.users AS x
) AS q
GROUP BY q.range
ORDER BY 2 DESC, 1;
