-- finding: avatar-indexes
-- steps: 1
-- ok: no B-tree index holds users.avatar_url
-- why: a B-tree entry holds at most about 2,700 bytes; once the column is text, the index refuses a longer URL, and the
--      update of the user fails
-- do: drop the index, or index md5(avatar_url) instead, before the application stores longer URLs

-- needs: chatapp.users.avatar_url
SELECT
    'warns' AS level,
    format('B-tree index %I.%I holds users.avatar_url', n.nspname, c.relname) AS what,
    format('%I.%I', n.nspname, c.relname) AS object,
    format('DROP INDEX CONCURRENTLY %I.%I; before the application stores longer addresses, or index md5(%I) instead', n.nspname,
           c.relname, a.attname) AS fix
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_am AS m ON m.oid = c.relam AND m.amname = 'btree'
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
WHERE i.indrelid = 'chatapp.users'::regclass AND a.attname = 'avatar_url'::name;
