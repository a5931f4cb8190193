-- The extensions that must be there for a server to take the dump back.
SELECT e.extname, e.extversion
FROM pg_catalog.pg_extension AS e
WHERE e.extname <> 'plpgsql'
ORDER BY e.extname
