-- How much longer the latest steps in one direction took than was expected, by their sums. A step that was resumed has no forecast.
-- A few short steps teach little: a prior of as many seconds is part of both sums.
-- %(direction)s; %(runs)s: as many times each step; %(shortest)s and %(prior)s: seconds
SELECT (sum(seconds) + %(prior)s) / (sum(expected_seconds) + %(prior)s)
FROM (
  SELECT extract(epoch FROM h.finished_at - h.started_at) AS seconds, f.expected_seconds,
         row_number() OVER (PARTITION BY h.step ORDER BY h.id DESC) AS latest
  FROM callctl.history AS h JOIN callctl.forecast AS f ON f.history_id = h.id
  WHERE h.direction = %(direction)s AND NOT h.adopted) AS taken
WHERE latest <= %(runs)s AND seconds >= %(shortest)s AND expected_seconds > 0
HAVING count(*) > 0
