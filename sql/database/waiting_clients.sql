-- How many sessions of others wait for a lock in this database. Every role sees pg_locks whole. A wait for a row names no database,
-- but its session has locks in one. Sessions of callctl have one of its advisory locks, or wait for one: a wait for those counts not.
-- %(lowest)s, %(highest)s: the first halves of these locks' keys
WITH locks AS (SELECT l.* FROM pg_catalog.pg_locks AS l),
here AS (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())
SELECT count(DISTINCT w.pid)::integer
FROM locks AS w
WHERE NOT w.granted
  AND EXISTS (SELECT FROM locks AS o JOIN here ON here.oid = o.database WHERE o.pid = w.pid)
  AND NOT EXISTS (
    SELECT FROM locks AS o
    WHERE o.pid = w.pid AND o.locktype = 'advisory' AND o.classid::bigint BETWEEN %(lowest)s AND %(highest)s)
