-- Write down which rows a batched statement has to touch, in the order of the table on disk. A reading may have parallel
-- workers where it makes a table, not where it writes into one that is there: so it makes one that is gone again right after.
-- callctl puts the query for their keys and places in the place of 'listing', which has no row. The second statement says how
-- many of them were listed before, and five.
CREATE UNLOGGED TABLE callctl.listed AS
SELECT key, place FROM (SELECT NULL::uuid AS key, NULL::tid AS place WHERE false) AS listing;

SELECT count(*), string_agg(CASE WHEN number <= 5 THEN key::text END, ', ')
FROM (SELECT w.key, row_number() OVER () AS number FROM callctl.listed AS l JOIN callctl.work_list AS w ON w.key = l.key) AS listed_before;

TRUNCATE callctl.work_list;

INSERT INTO callctl.work_list (ordinal, key)
SELECT row_number() OVER (ORDER BY place), key FROM callctl.listed;

DELETE FROM callctl.work_done;

INSERT INTO callctl.work_done (session, listed, done)
SELECT pg_backend_pid(), count(*), 0 FROM callctl.listed;

DROP TABLE callctl.listed;
