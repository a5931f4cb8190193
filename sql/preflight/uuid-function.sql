-- finding: uuid-function
-- steps: 9-11
-- ok: gen_random_uuid() resolves without a schema name
-- why: the keys of the new tables default to gen_random_uuid(), which is built in since PostgreSQL 13; on 12
--      the extension pgcrypto has it
-- do: CREATE EXTENSION pgcrypto in a schema that is on this role's search_path

SELECT
    'blocks' AS level,
    CASE
        WHEN f.places IS NULL THEN 'there is no function gen_random_uuid() in this database'
        ELSE format('gen_random_uuid() is there as %s, but not on the search_path (%s)',
                    f.places, current_setting('search_path'))
    END AS what,
    'gen_random_uuid()' AS object
FROM (
    SELECT
        string_agg(format('%I.gen_random_uuid()', n.nspname), ', ' ORDER BY n.nspname) AS places,
        coalesce(bool_or(pg_function_is_visible(p.oid)), false) AS found
    FROM pg_catalog.pg_proc AS p
    JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
    WHERE p.proname = 'gen_random_uuid' AND p.pronargs = 0
) AS f
WHERE NOT f.found;
