-- finding: server-features
-- steps: 2-6, 9-11
-- direction: both
-- ok: the procedural language and the text search configuration that the steps use exist
-- why: the triggers are written in PL/pgSQL, and the index for searching transcripts uses the configuration
--      "english"
-- do: CREATE EXTENSION plpgsql, or restore the text search configuration pg_catalog.english, as a superuser

SELECT 'blocks' AS level, 'the language plpgsql is not installed in this database' AS what, 'plpgsql' AS object
WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_language AS l WHERE l.lanname = 'plpgsql');

SELECT
    'blocks' AS level,
    'the text search configuration "english" is not on the search_path' AS what,
    'english' AS object,
    ARRAY[11] AS steps
WHERE NOT EXISTS (
    SELECT 1 FROM pg_catalog.pg_ts_config AS t
    WHERE t.cfgname = 'english' AND pg_ts_config_is_visible(t.oid)
);
