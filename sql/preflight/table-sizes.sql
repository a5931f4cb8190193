-- finding: table-sizes
-- steps: 4-6, 12
-- ok: the tables to be changed are empty
-- why: an updated row is written again, each index and each saved value needs space, and a server
--      with a full disk stops for every client
-- do: check the free space of the data directory (df) and of the WAL directory; a database with less than
--      twice the estimate needs a larger disk first

SELECT
    'ok' AS level,
    format('%s: %s, %s with its indexes; the steps need at most %s more', q.relation,
           CASE WHEN q.amount < 0 THEN 'rows not counted yet (never analyzed)' ELSE format('about %s rows', q.amount) END,
           pg_size_pretty(q.total), pg_size_pretty(q.heap + greatest(q.amount, 0) * q.bytes_per_row)) AS what,
    q.relation AS object,
    q.steps
FROM (
    SELECT
        c.oid::regclass::text AS relation, c.reltuples::bigint AS amount, pg_table_size(c.oid) AS heap,
        pg_total_relation_size(c.oid) AS total, t.bytes_per_row, t.steps
    FROM (VALUES
        ('chatbot_packages', 230, ARRAY[4, 5]),
        ('chatbots', 270, ARRAY[4, 6, 12]),
        ('companies', 200, ARRAY[12])
    ) AS t(name, bytes_per_row, steps)
    JOIN pg_catalog.pg_class AS c ON c.relname = t.name AND c.relnamespace = 'chatapp'::regnamespace
) AS q;

SELECT
    'unknown' AS level,
    format('how much disk is free: SQL cannot tell; the steps need at most %s, and as much again in WAL',
           pg_size_pretty(coalesce(sum(pg_table_size(c.oid) + greatest(c.reltuples::bigint, 0) * 270), 0)::bigint)) AS what
FROM pg_catalog.pg_class AS c
WHERE c.relnamespace = 'chatapp'::regnamespace AND c.relname IN ('chatbot_packages', 'chatbots', 'companies');
