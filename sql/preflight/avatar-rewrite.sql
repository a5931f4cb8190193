-- finding: avatar-rewrite
-- steps: 1
-- direction: down
-- ok: there is no users table to be rewritten
-- why: back to a limited length PostgreSQL writes the whole table and its indexes again under ACCESS
--      EXCLUSIVE; nobody can read users meanwhile
-- do: choose a quiet hour, or leave the column text with migrate down --to 1: old code works with it

SELECT
    'warns' AS level,
    format('going down from step 1 rewrites %s: %s, %s with its indexes, and needs that much free disk', c.oid::regclass,
           CASE WHEN c.reltuples < 0 THEN 'rows not counted yet' ELSE format('about %s rows', c.reltuples::bigint) END,
           pg_size_pretty(pg_total_relation_size(c.oid))) AS what,
    c.oid::regclass::text AS object,
    NULL::integer[] AS steps,
    format('choose a quiet hour, or leave the column text with migrate down --to 1: old code works with it. Where the old limit must hold'
           ' too, these keep it and block no writer: ALTER TABLE %s ADD CONSTRAINT users_avatar_url_length CHECK (length(avatar_url) <= 500)'
           ' NOT VALID; ALTER TABLE %s VALIDATE CONSTRAINT users_avatar_url_length;', c.oid::regclass, c.oid::regclass) AS fix
FROM pg_catalog.pg_class AS c
WHERE c.relname = 'users' AND c.relnamespace = 'chatapp'::regnamespace;
