-- Write down which rows a batched statement has to touch, in the order of the table on disk. A reading may have parallel
-- workers where it makes a table, not where it writes into one that is there: so it makes one that is gone again right after.
-- {listing}: the query for their keys and places
CREATE UNLOGGED TABLE callctl.listed AS
{listing};

TRUNCATE callctl.work_list;

INSERT INTO callctl.work_list (ordinal, key)
SELECT row_number() OVER (ORDER BY place), key FROM callctl.listed;

DROP TABLE callctl.listed;
