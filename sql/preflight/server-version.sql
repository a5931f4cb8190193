-- finding: server-version
-- direction: both
-- ok: the server is PostgreSQL 12 or newer
-- why: the steps add NOT NULL columns with a default without rewriting the table, and use generated and
--      partial objects, as PostgreSQL has done since 12
-- do: upgrade the server to a released PostgreSQL between 12 and 18, then run preflight again

SELECT
    CASE
        WHEN v.num < 120000 THEN 'blocks'
        WHEN v.num >= 190000 OR v.text ~ '^[0-9]+(beta|rc|devel|alpha)' THEN 'warns'
        ELSE 'ok'
    END AS level,
    CASE
        WHEN v.num < 120000 THEN format('the server is PostgreSQL %s; callctl needs 12 or newer', v.text)
        WHEN v.num >= 190000 THEN format('the server is PostgreSQL %s; callctl was tested up to 18', v.text)
        WHEN v.text ~ '^[0-9]+(beta|rc|devel|alpha)'
            THEN format('the server is PostgreSQL %s, which is not a finished release', v.text)
        ELSE format('the server is PostgreSQL %s', v.text)
    END AS what
FROM (
    SELECT current_setting('server_version_num')::integer AS num, current_setting('server_version') AS text
) AS v;
