-- End every other session in a database that is about to be dropped.
SELECT pg_terminate_backend(pid)
FROM pg_catalog.pg_stat_activity
WHERE datname = %(database)s AND pid <> pg_backend_pid()
