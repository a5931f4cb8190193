-- finding: avatar-rewrite
-- steps: 1
-- direction: down
-- ok: there is no users table to be rewritten
-- why: back to a limited length PostgreSQL writes the whole table and its indexes again under ACCESS
--      EXCLUSIVE; nobody can read users meanwhile
-- do: choose a quiet hour, or leave step 1 in place with migrate down --to 1

SELECT
    'warns' AS level,
    format('going down from step 1 rewrites %s: %s, %s with its indexes, and needs that much free disk', c.oid::regclass,
           CASE WHEN c.reltuples < 0 THEN 'rows not counted yet' ELSE format('about %s rows', c.reltuples::bigint) END,
           pg_size_pretty(pg_total_relation_size(c.oid))) AS what,
    c.oid::regclass::text AS object
FROM pg_catalog.pg_class AS c
WHERE c.relname = 'users' AND c.relnamespace = 'chatapp'::regnamespace;
